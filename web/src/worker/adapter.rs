//! Which device a browser has for us. The adapter is looked at before the GPU library touches it, because that panics on
//! what it can't use, and nobody survives a panic here.

use burn::tensor::Device;
use crossover::device::{Candidate, DeviceChoice, Selected, is_software_adapter, select};
use crossover::error::{Error, Result};
use crossover::platform;
use crossover_web::link::{Compute, DeviceInfo};
use crossover_web::script::{call, member, object, path, text, wait};
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

const NO_GPU: &str =
    "No GPU access in this browser. Training runs on the processor: small presets only.";
const SOFTWARE: &str = "This browser offers only a software GPU, which is slower. Using the processor. You can force it in Device.";
const HERE: &str =
    "Workers fail in this browser, so training shares the page's thread: small presets only.";

/// What kernels need at least, by the limits' names in WebGPU: all of it is guaranteed but in its compatibility mode.
const NEEDED: [(&str, f64); 4] = [
    ("maxStorageBuffersPerShaderStage", 8.0),
    ("maxComputeInvocationsPerWorkgroup", 256.0),
    ("maxComputeWorkgroupStorageSize", 16384.0),
    ("maxStorageBufferBindingSize", 134_217_728.0),
];

/// Limits worth knowing.
const SHOWN: [&str; 6] = [
    "maxBufferSize",
    "maxStorageBufferBindingSize",
    "maxStorageBuffersPerShaderStage",
    "maxComputeInvocationsPerWorkgroup",
    "maxComputeWorkgroupStorageSize",
    "maxComputeWorkgroupsPerDimension",
];

/// Features that are told of, whether they are there or not.
const FEATURES: [&str; 3] = ["timestamp-query", "shader-f16", "subgroups"];

/// The device to compute on, and what to say of it. `here`: the page's own thread computes.
///
/// # Errors
/// Never: there is always a processor.
pub(crate) async fn choose(compute: Compute, here: bool) -> Result<(Selected, DeviceInfo)> {
    if here {
        return processor(compute, Some(Refusal::new(HERE, "")));
    }
    if compute == Compute::Processor {
        return processor(compute, None);
    }
    let adapter = match look(compute).await {
        Ok(adapter) => adapter,
        Err(refusal) => return processor(compute, Some(refusal)),
    };
    match open(&adapter, compute).await {
        Ok(opened) => Ok(opened),
        Err(error) => {
            let mut refusal =
                Refusal::new(NO_GPU, &format!("{} was there, but {error}", adapter.name));
            refusal.may_find_gpu = true;
            processor(compute, Some(refusal))
        }
    }
}

/// Why there is no GPU.
struct Refusal {
    note: &'static str,
    why: String,
    may_find_gpu: bool,
    details: Vec<(String, String)>,
}

impl Refusal {
    fn new(note: &'static str, why: &str) -> Self {
        Self {
            note,
            why: why.to_owned(),
            may_find_gpu: false,
            details: Vec::new(),
        }
    }
}

/// An adapter that will do.
struct Adapter {
    name: String,
    software: bool,
    details: Vec<(String, String)>,
}

fn processor(compute: Compute, refusal: Option<Refusal>) -> Result<(Selected, DeviceInfo)> {
    let candidate = Candidate {
        choice: DeviceChoice::Cpu,
        name: "the processor, in WebAssembly with SIMD".to_owned(),
        software: false,
        device: Device::flex(),
    };
    // Where a GPU was asked for in vain the processor is no wish of the person's.
    let choice = match compute {
        Compute::Auto => DeviceChoice::Auto,
        _ => DeviceChoice::Cpu,
    };
    let device = select(choice, &[candidate], platform::threads())?;
    let mut info = DeviceInfo {
        badge: "Processor".to_owned(),
        description: device.description.clone(),
        gpu: false,
        compute,
        details: vec![
            ("Backend".to_owned(), "flex (WebAssembly SIMD)".to_owned()),
            ("Threads".to_owned(), platform::threads().to_string()),
        ],
        ..DeviceInfo::default()
    };
    if let Some(refusal) = refusal {
        info.note = Some(refusal.note.to_owned());
        info.why = Some(refusal.why).filter(|why| !why.is_empty());
        info.may_find_gpu = refusal.may_find_gpu;
        let unused = |(name, value)| (format!("Unused GPU: {name}"), value);
        info.details.extend(refusal.details.into_iter().map(unused));
    }
    Ok((device, info))
}

/// Looks for an adapter without opening it.
async fn look(compute: Compute) -> std::result::Result<Adapter, Refusal> {
    let Some(gpu) = path(&["navigator", "gpu"]) else {
        let why = match path(&["isSecureContext"]).is_some_and(|secure| secure.is_truthy()) {
            true => "This browser has no WebGPU, or it is switched off.",
            false => "WebGPU needs a secure page: https, or localhost.",
        };
        return Err(Refusal::new(NO_GPU, why));
    };
    if compute == Compute::SoftwareGpu {
        prefer_software(&gpu);
    }
    let options = object(&[("powerPreference", "high-performance".into())]).unwrap_or_default();
    let adapter = match wait(&gpu, "requestAdapter", &[options.into()]).await {
        Ok(adapter) if adapter.is_object() => adapter,
        refused => {
            let mut refusal = Refusal::new(
                NO_GPU,
                &match refused {
                    Ok(_) => "The browser has WebGPU and offers no adapter: a blocked or missing driver, or no GPU.".to_owned(),
                    Err(error) => text(&error),
                },
            );
            refusal.may_find_gpu = true;
            return Err(refusal);
        }
    };
    let info = match member(&adapter, "info") {
        Some(info) => info,
        // Its older name.
        None => wait(&adapter, "requestAdapterInfo", &[])
            .await
            .unwrap_or_default(),
    };
    let word = |name: &str| {
        member(&info, name)
            .and_then(|word| word.as_string())
            .unwrap_or_default()
    };
    let names = ["description", "device", "vendor", "architecture"].map(word);
    let is_fallback = [&info, &adapter]
        .iter()
        .any(|of| member(of, "isFallbackAdapter").is_some_and(|fallback| fallback.is_truthy()));
    let software = is_fallback || is_software_adapter(&names.join(" "));
    let mut details = vec![
        ("Adapter".to_owned(), name_of(&names)),
        ("Backend".to_owned(), "WebGPU".to_owned()),
    ];
    let limits = member(&adapter, "limits").unwrap_or_default();
    let limit = |name: &str| member(&limits, name).and_then(|limit| limit.as_f64());
    for name in SHOWN {
        if let Some(value) = limit(name) {
            details.push((name.to_owned(), format!("{value:.0}")));
        }
    }
    let features = member(&adapter, "features").unwrap_or_default();
    for name in FEATURES {
        let has = call(&features, "has", &[name.into()]).is_ok_and(|has| has.is_truthy());
        details.push((name.to_owned(), if has { "yes" } else { "no" }.to_owned()));
    }
    let refuse = |note, why: String| Refusal {
        note,
        why,
        may_find_gpu: false,
        details: details.clone(),
    };
    if software && compute != Compute::SoftwareGpu {
        let why = format!(
            "The adapter is {}, which is the processor playing a GPU.",
            name_of(&names)
        );
        return Err(refuse(SOFTWARE, why));
    }
    for (name, needed) in NEEDED {
        if let Some(has) = limit(name).filter(|has| *has < needed) {
            let why = format!(
                "{} allows {has:.0} for {name}; {needed:.0} are needed.",
                name_of(&names)
            );
            return Err(refuse(NO_GPU, why));
        }
    }
    Ok(Adapter {
        name: name_of(&names),
        software,
        details,
    })
}

/// A person's name for an adapter of this description, device, vendor and architecture.
fn name_of([description, device, vendor, architecture]: &[String; 4]) -> String {
    let pair = format!("{vendor} {architecture}");
    [description, device, &pair]
        .iter()
        .map(|name| name.trim())
        .find(|name| !name.is_empty())
        .unwrap_or("unnamed")
        .to_owned()
}

/// From now on the browser gives its software adapter; the GPU library has no such wish to express. Where there is none
/// it gives what it has.
fn prefer_software(gpu: &JsValue) {
    let Some(request) = member(gpu, "requestAdapter") else {
        return;
    };
    let Ok(request) = request.dyn_into::<Function>() else {
        return;
    };
    let of = gpu.clone();
    let asked = Closure::<dyn Fn(JsValue) -> Promise>::new(move |options: JsValue| {
        let (request, of) = (request.clone(), of.clone());
        wasm_bindgen_futures::future_to_promise(async move {
            let software = object(&[("forceFallbackAdapter", JsValue::TRUE)])?;
            for given in [software.into(), options] {
                let adapter = request.call1(&of, &given)?;
                let adapter = JsFuture::from(Promise::resolve(&adapter)).await;
                if let Ok(adapter) = adapter.as_ref()
                    && adapter.is_object()
                {
                    return Ok(adapter.clone());
                }
            }
            Ok(JsValue::NULL)
        })
    });
    let _ = Reflect::set(gpu, &"requestAdapter".into(), asked.as_ref());
    // It lives as long as the program.
    asked.forget();
}

#[cfg(feature = "wgpu")]
async fn open(adapter: &Adapter, compute: Compute) -> Result<(Selected, DeviceInfo)> {
    let device = Device::wgpu_options()
        .init_async()
        .await
        .map_err(|error| Error::work(format!("it could not be opened: {error}")))?;
    let candidate = Candidate {
        choice: DeviceChoice::Wgpu,
        name: adapter.name.clone(),
        software: adapter.software,
        device,
    };
    let choice = match compute {
        Compute::Auto => DeviceChoice::Auto,
        _ => DeviceChoice::Wgpu,
    };
    let device = select(choice, &[candidate], platform::threads())?;
    let info = DeviceInfo {
        badge: match adapter.software {
            true => "Software GPU".to_owned(),
            false => format!("GPU: {}", adapter.name),
        },
        description: device.description.clone(),
        gpu: true,
        compute,
        note: None,
        why: None,
        may_find_gpu: false,
        details: adapter.details.clone(),
    };
    Ok((device, info))
}

#[cfg(not(feature = "wgpu"))]
async fn open(_adapter: &Adapter, _compute: Compute) -> Result<(Selected, DeviceInfo)> {
    Err(Error::work("this build uses none"))
}

/// Waits until the device is lost, and says what the browser says of it.
pub(crate) async fn lost() -> Option<String> {
    let lost = member(&path(&["crossoverDevice"])?, "lost")?;
    let said = JsFuture::from(Promise::resolve(&lost)).await.ok()?;
    let word = |name: &str| {
        member(&said, name)
            .and_then(|word| word.as_string())
            .unwrap_or_default()
    };
    Some(format!(
        "device lost ({}): {}",
        word("reason"),
        word("message")
    ))
}

/// Destroys the device; says whether there was one.
pub(crate) fn destroy() -> bool {
    let Some(device) = path(&["crossoverDevice"]) else {
        return false;
    };
    call(&device, "destroy", &[]).is_ok()
}
