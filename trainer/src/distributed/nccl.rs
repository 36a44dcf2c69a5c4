//! NCCL: moves what the ranks' CUDA devices hold between them, where MPI would take it through the hosts. MPI still says
//! everything else, and hands round the identifier by which NCCL's ranks find each other.
//!
//! burn's own collectives are for several devices of one process: they make an identifier of their own in each. So NCCL is
//! called here, on the memory that burn's tensors are in. burn hands out no stream, so order is kept by waiting: for the device
//! before NCCL reads, and for NCCL before burn is asked for anything more.

#![expect(
    unsafe_code,
    reason = "NCCL takes addresses of the device's memory; what is in it, and for how long, is settled here"
)]

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;

use burn::backend::{BackendTensor, CubeDevice, DispatchDevice, DispatchTensorKind};
use burn::tensor::{DType, Device, Tensor};
use crossover::device::Selected;
use crossover::error::{Error, Result};
use crossover::platform;
use crossover::ranks::{Exchange, OnDevices, Ranks};
// Its path for macros is the only one that `cubecl` has for this trait, which names what is behind CUDA's client.
use cubecl::__private::Runtime;
use cubecl::cuda::CudaRuntime;
use cudarc::driver::{CudaContext, CudaStream, DriverError};
use cudarc::nccl::result::{self, NcclError, NcclStatus};
use cudarc::nccl::sys;

use super::choice::{Place, Version};
use super::engine::World;
use super::told;

/// Bytes by which NCCL's ranks find each other.
const IDENTIFIER: usize = 128;

const FLOAT: sys::ncclDataType_t = sys::ncclDataType_t::ncclFloat32;
const SUM: sys::ncclRedOp_t = sys::ncclRedOp_t::ncclSum;

/// Whether this build has it.
///
/// # Errors
/// It has.
pub fn built() -> Result<()> {
    Ok(())
}

/// What this rank has to offer.
pub fn place(device: &Selected) -> Place {
    let host = platform::host();
    let gpu = index_of(&device.device).map(|index| {
        let uuid = CudaContext::new(index).and_then(|context| context.uuid());
        match uuid {
            Ok(uuid) => uuid
                .bytes
                .map(|byte| format!("{:02x}", byte as u8))
                .concat(),
            Err(_) => format!("{host}, device {index}"),
        }
    });
    let nccl = match gpu {
        Some(_) => version(),
        None => Err("has no CUDA device".to_owned()),
    };
    Place { host, gpu, nccl }
}

/// Connects the devices of all ranks, each of which has one of its own. All must ask.
///
/// # Errors
/// When the driver or NCCL fails on any of them.
pub fn connect(device: &Device, ranks: &Ranks) -> Result<Ranks> {
    Ok(Ranks::connected(Arc::new(Nccl::meet(device, ranks)?)))
}

/// The CUDA device's number in this process.
fn index_of(device: &Device) -> Option<usize> {
    match device.clone().inner().as_dispatch() {
        DispatchDevice::Cube(CubeDevice::Cuda(device)) => Some(device.index),
        _ => None,
    }
}

/// The NCCL that can be loaded, or why none can.
fn version() -> Result<Version, String> {
    // SAFETY: a library is looked for under NCCL's names.
    if !unsafe { sys::is_culib_present() } {
        return Err("loads no `libnccl.so`".to_owned());
    }
    match result::get_nccl_version() {
        Ok(code) => Ok(Version::of_code(code.unsigned_abs())),
        Err(error) => Err(format!("has an NCCL that fails: {}", said(&error))),
    }
}

/// An identifier that the first rank makes and all get.
fn shared_identifier(
    ranks: &Ranks,
    make: impl FnOnce() -> Result<[u8; IDENTIFIER]>,
) -> Result<[u8; IDENTIFIER]> {
    let own = match ranks.is_first() {
        true => make().map(Vec::from),
        false => Ok(Vec::new()),
    };
    let all = told(ranks, &ranks.agree(own)?)?;
    all.into_iter()
        .next()
        .and_then(|first| first.try_into().ok())
        .ok_or_else(|| Error::work("the first rank told no identifier of NCCL's"))
}

fn new_identifier() -> Result<[u8; IDENTIFIER]> {
    let made = result::get_uniqueid().map_err(|error| failed("make an identifier", &error))?;
    Ok(made.internal.map(|byte| byte as u8))
}

/// NCCL's handle of one rank among all.
#[derive(Debug)]
struct Communicator(sys::ncclComm_t);

// SAFETY: NCCL's calls may come from any thread, one at a time; a run makes them from its own.
unsafe impl Send for Communicator {}
// SAFETY: as above.
unsafe impl Sync for Communicator {}

impl Communicator {
    /// Meets the other ranks; this rank's device is the one that this thread has opened last.
    fn join(ranks: &Ranks, identifier: [u8; IDENTIFIER]) -> Result<Self> {
        let identifier = sys::ncclUniqueId {
            internal: identifier.map(|byte| byte as std::ffi::c_char),
        };
        let (count, rank) = (ranks.count() as i32, ranks.rank() as i32);
        let mut communicator = ptr::null_mut();
        // SAFETY: NCCL writes the handle before it returns without an error.
        unsafe { result::comm_init_rank(&mut communicator, count, identifier, rank) }
            .map_err(|error| failed("connect the ranks", &error))?;
        Ok(Self(communicator))
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        // Destroying would wait for the others, which may be gone. Nothing of ours is under way.
        // SAFETY: the handle came from NCCL, and nobody uses it any more.
        let _ = unsafe { result::comm_abort(self.0) };
    }
}

/// All processes of the run, and their devices.
#[derive(Debug)]
struct Nccl {
    world: World,
    communicator: Communicator,
    stream: Arc<CudaStream>,
}

impl Nccl {
    /// Opens this rank's device and meets the others.
    fn meet(device: &Device, ranks: &Ranks) -> Result<Self> {
        let identifier = shared_identifier(ranks, new_identifier)?;
        let opened = index_of(device).ok_or_else(elsewhere).and_then(|index| {
            let stream = CudaContext::new(index).and_then(|context| context.new_stream());
            stream.map_err(|error| driver_failed(&error))
        });
        let stream = ranks.agree(opened)?;
        let communicator = ranks.agree(Communicator::join(ranks, identifier))?;
        Ok(Self {
            world: World::joined(),
            communicator,
            stream,
        })
    }

    /// Waits for everything that the device was asked to compute.
    fn settle(&self) -> Result<()> {
        let settled = self.stream.context().synchronize();
        settled.map_err(|error| driver_failed(&error))
    }

    /// Lets NCCL read values and write so many new ones, and waits for it.
    fn exchange(
        &self,
        values: &Tensor<1>,
        count: usize,
        call: impl FnOnce(
            *const c_void,
            *mut c_void,
            sys::cudaStream_t,
        ) -> Result<NcclStatus, NcclError>,
    ) -> Result<Tensor<1>> {
        let written = Tensor::empty([count], &values.device());
        let (from, _held) = address(values)?;
        let (to, _held_too) = address(&written)?;
        self.settle()?;
        call(from, to, self.stream.cu_stream().cast())
            .map_err(|error| failed("add up or hand round", &error))?;
        let done = self.stream.synchronize();
        done.map_err(|error| driver_failed(&error))?;
        Ok(written)
    }
}

impl OnDevices for Nccl {
    fn wait_for(&self, values: &Tensor<1>) -> Result<()> {
        // The answer comes behind everything that burn was asked before.
        let (_, _held) = address(values)?;
        self.settle()
    }

    fn sum(&self, values: Tensor<1>) -> Result<Tensor<1>> {
        let [count] = values.dims();
        // SAFETY: both places have `count` numbers, and stay until NCCL is done.
        self.exchange(&values, count, |from, to, stream| unsafe {
            result::all_reduce(from, to, count, FLOAT, SUM, self.communicator.0, stream)
        })
    }

    fn sum_part(&self, values: Tensor<1>) -> Result<Tensor<1>> {
        let [count] = values.dims();
        let part = count / self.world.count();
        // SAFETY: a part for each rank is read and one is written, and both places stay until NCCL is done.
        self.exchange(&values, part, |from, to, stream| unsafe {
            result::reduce_scatter(from, to, part, FLOAT, SUM, self.communicator.0, stream)
        })
    }

    fn join(&self, part: Tensor<1>) -> Result<Tensor<1>> {
        let [count] = part.dims();
        let whole = count * self.world.count();
        // SAFETY: one part is read and one for each rank written, and both places stay until NCCL is done.
        self.exchange(&part, whole, |from, to, stream| unsafe {
            result::all_gather(from, to, count, FLOAT, self.communicator.0, stream)
        })
    }
}

impl Exchange for Nccl {
    fn rank(&self) -> usize {
        self.world.rank()
    }

    fn count(&self) -> usize {
        self.world.count()
    }

    fn sum(&self, values: &mut [f32]) {
        self.world.sum(values);
    }

    fn sum_part(&self, values: &[f32]) -> Vec<f32> {
        self.world.sum_part(values)
    }

    fn join(&self, part: &[f32]) -> Vec<f32> {
        self.world.join(part)
    }

    fn tell(&self, said: &[u8]) -> Vec<Vec<u8>> {
        self.world.tell(said)
    }

    fn on_devices(&self) -> Option<&dyn OnDevices> {
        Some(self)
    }
}

/// Where values are in the device's memory, and what keeps them there.
fn address(values: &Tensor<1>) -> Result<(*mut c_void, impl Sized + use<>)> {
    let DispatchTensorKind::Cube(BackendTensor::Float(values)) =
        values.clone().into_dispatch().kind
    else {
        return Err(elsewhere());
    };
    if values.dtype != DType::F32 || values.meta.strides()[..] != [1] {
        return Err(Error::work(
            "NCCL was given something else than 32-bit numbers in order: this is a bug in crossover",
        ));
    }
    let memory = values
        .client
        .get_resource::<<CudaRuntime as Runtime>::Server>(values.handle)
        .map_err(|error| Error::work(format!("the GPU failed: {error}")))?;
    Ok((memory.resource().ptr as *mut c_void, memory))
}

fn elsewhere() -> Error {
    Error::work("NCCL was given values of another device: this is a bug in crossover")
}

fn driver_failed(error: &DriverError) -> Error {
    Error::work(format!("CUDA's driver failed: {error}"))
}

fn failed(doing: &str, error: &NcclError) -> Error {
    Error::work(format!("NCCL can't {doing}: {}", said(error))).with_hint(
        "`NCCL_DEBUG=INFO` in the environment makes it say more; `--engine mpi` does without it",
    )
}

/// What NCCL says of its error.
fn said(error: &NcclError) -> String {
    // SAFETY: NCCL gives a text of its own, which stays.
    let text = unsafe { CStr::from_ptr(sys::ncclGetErrorString(error.0)) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#[path = "../../../tests/threads/mod.rs"]
mod threads;

#[cfg(test)]
mod tests {
    use super::threads::on;
    use super::*;

    /// NCCL refuses two ranks on one GPU, so there is one; what it is asked, and where, is the same.
    #[test]
    #[ignore = "needs a CUDA device, NCCL and MPI: `BURN_DEVICE=cuda mpirun -n 1`"]
    fn what_a_rank_alone_exchanges_it_gets_back() {
        let _universe = mpi::initialize().unwrap();
        let device = Device::default();
        let nccl = Nccl::meet(&device, &Ranks::alone()).unwrap();
        let values: Vec<f32> = (0..100_003).map(|number| number as f32 - 0.5).collect();
        // On its way when NCCL is asked for it.
        let computed = || Tensor::<1>::from_floats(&values[..], &device) * 2.0;
        let expected: Vec<f32> = values.iter().map(|value| value * 2.0).collect();
        let devices: &dyn OnDevices = &nccl;
        for exchanged in [
            devices.sum(computed()),
            devices.sum_part(computed()),
            devices.join(computed()),
        ] {
            let found = pollster::block_on(exchanged.unwrap().into_data_async()).unwrap();
            assert_eq!(found.iter::<f32>().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn the_first_rank_s_identifier_is_everybody_s() {
        let all = on(3, |ranks| {
            let rank = ranks.rank();
            shared_identifier(&ranks, || {
                assert_eq!(rank, 0, "the others make none");
                // Every byte, those that are no text too.
                Ok(std::array::from_fn(|place| 2 * place as u8 + 1))
            })
        });
        for identifier in all {
            let identifier = identifier.expect("an identifier");
            assert_eq!((identifier[0], identifier[127]), (1, 255));
        }
    }

    #[test]
    fn an_identifier_that_can_t_be_made_stops_all_ranks() {
        for refused in on(2, |ranks| {
            shared_identifier(&ranks, || Err(Error::work("no network")))
        }) {
            assert_eq!(refused.expect_err("none").to_string(), "no network");
        }
    }
}
