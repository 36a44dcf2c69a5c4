//! A lab on a thread of this process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, Once, PoisonError};

use crossover::device::{Candidate, DeviceChoice, Selected, is_software_adapter, select};
use crossover::error::Result;
use crossover::lab::{Command, Event, Lab};
use crossover::platform;

use super::{
    Compute, Counters, DeviceInfo, Loss, Message, Opening, Order, Place, StorageInfo, Wake, loss_of,
};

/// The name of the lab's thread.
const LAB: &str = "lab";

/// The models that came with the app, at the paths that the page has them at.
const BUNDLED: [(&str, &[u8]); 2] = [
    (
        "bundled/ar.safetensors",
        include_bytes!("../../bundled/ar.safetensors"),
    ),
    (
        "bundled/masked.safetensors",
        include_bytes!("../../bundled/masked.safetensors"),
    ),
];

/// What the lab's thread said when it died.
static LAST_WORDS: Mutex<Option<String>> = Mutex::new(None);

/// A lab and its device.
#[derive(Debug)]
pub struct Link {
    lab: Option<Lab>,
    /// Brings the lab, once its device is found.
    arriving: Receiver<Lab>,
    messages: Receiver<Message>,
    teller: Sender<Message>,
    counters: Counters,
    /// Whether a run is under way.
    runs: bool,
    /// Whether the lab is to be closed once its run has ended.
    closing: bool,
}

impl Link {
    /// Whether links give signs of life: a thread that dies is noticed without.
    pub const BEATS: bool = false;

    /// How long one may be silent, where that is not as usual.
    pub fn patience() -> Option<f64> {
        None
    }

    /// The run that was under way when the app was open last: the list of runs shows it.
    pub fn remembered() -> Option<String> {
        None
    }

    /// Notes which run is under way.
    pub fn remember(_run: Option<&str>) {}

    /// Opens a lab; `wake` is called when there is something to [`Link::poll`].
    pub fn open(opening: Opening, wake: Wake) -> Self {
        listen_to_panics();
        for (path, content) in BUNDLED {
            platform::bring_file(path, content);
        }
        let (teller, messages) = channel();
        let (bring, arriving) = channel();
        let tell = teller.clone();
        // Looking for GPUs opens their drivers, which takes a while.
        platform::spawn("opening", move || async move {
            // Whoever opened this may be gone again, and then nobody needs to know.
            let _ = tell.send(Message::Storage(StorageInfo {
                place: Place::Disk,
                kept: true,
                ..StorageInfo::default()
            }));
            let message = match choose(opening.compute) {
                Ok((device, info)) => {
                    let lab = Lab::open(device);
                    forward(&lab, tell.clone(), wake.clone());
                    let _ = bring.send(lab);
                    Message::Opened(info)
                }
                Err(error) => Message::Lost {
                    reason: Loss::Device,
                    detail: error.to_string(),
                },
            };
            let _ = tell.send(message);
            wake();
        });
        Self {
            lab: None,
            arriving,
            messages,
            teller,
            counters: Counters::default(),
            runs: false,
            closing: false,
        }
    }

    /// Carries an order.
    pub fn send(&mut self, order: Order) {
        let Some(lab) = &self.lab else { return };
        match order {
            Order::Lab(command) => lab.send(command),
            Order::Close if self.runs => {
                self.closing = true;
                lab.send(Command::Stop);
            }
            Order::Close => {
                let _ = self.teller.send(Message::Closed);
            }
            // For tests in a browser; there a link is opened by a first order.
            Order::Open(_) | Order::LoseDevice | Order::Panic | Order::FillStorage => {}
        }
    }

    /// What came since the last time.
    pub fn poll(&mut self) -> Vec<Message> {
        if let Ok(lab) = self.arriving.try_recv() {
            self.lab = Some(lab);
        }
        let mut messages = Vec::new();
        while let Ok(message) = self.messages.try_recv() {
            self.counters.messages += 1;
            let mut ended = false;
            if let Message::Lab(event) = &message {
                self.runs |= matches!(event, Event::Started(_));
                ended = event.ends_run();
            }
            self.runs &= !ended;
            messages.push(message);
            if ended && std::mem::take(&mut self.closing) {
                messages.push(Message::Closed);
            }
        }
        messages
    }

    /// What was carried so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Files on disk stay.
    pub fn keep_data(&mut self) {}
}

impl Drop for Link {
    fn drop(&mut self) {
        // Nobody could stop a run later.
        let lab = self.lab.take().or_else(|| self.arriving.try_recv().ok());
        if let Some(lab) = lab {
            lab.send(Command::Stop);
        }
    }
}

/// Passes the lab's events on, and its end, waking whoever draws them.
fn forward(lab: &Lab, teller: Sender<Message>, wake: Wake) {
    let events = lab.events().clone();
    platform::spawn("events", move || async move {
        while let Ok(event) = events.recv().await {
            let message = match &event {
                Event::Failed { message, .. } => match loss_of(message) {
                    Some(reason) => Message::Lost {
                        reason,
                        detail: message.clone(),
                    },
                    None => Message::Lab(event),
                },
                _ => Message::Lab(event),
            };
            if teller.send(message).is_err() {
                return;
            }
            wake();
        }
        let words = LAST_WORDS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let detail = words.unwrap_or_else(|| "the lab's thread ended".to_owned());
        let _ = teller.send(Message::Lost {
            reason: loss_of(&detail).unwrap_or(Loss::Panic),
            detail,
        });
        wake();
    });
}

/// Keeps what the lab's thread says when it dies.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() == Some(LAB) {
                *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(panic.to_string());
            }
            before(panic);
        }));
    });
}

fn choose(compute: Compute) -> Result<(Selected, DeviceInfo)> {
    let choice = match compute {
        Compute::Auto => DeviceChoice::Auto,
        Compute::Processor => DeviceChoice::Cpu,
        Compute::Gpu | Compute::SoftwareGpu => DeviceChoice::Wgpu,
    };
    let mut found = candidates(choice);
    match compute {
        Compute::Gpu => found.retain(|candidate| !candidate.software),
        Compute::SoftwareGpu => {
            found.retain(|candidate| candidate.software || candidate.choice == DeviceChoice::Cpu);
        }
        Compute::Auto | Compute::Processor => {}
    }
    let threads = platform::threads();
    let (device, note) = match select(choice, &found, threads) {
        Ok(device) => (device, None),
        // The app must compute on something.
        Err(error) => (
            select(DeviceChoice::Cpu, &found, threads)?,
            Some(format!("No such GPU here: {error}. Using the processor.")),
        ),
    };
    let gpu = !device.is_processor();
    let chosen = found.iter().find(|candidate| {
        candidate.choice == device.choice && device.description.contains(&candidate.name)
    });
    let name = chosen.map_or("", |candidate| candidate.name.as_str());
    let badge = match (gpu, chosen.is_some_and(|candidate| candidate.software)) {
        (false, _) => "Processor".to_owned(),
        (true, true) => "Software GPU".to_owned(),
        (true, false) => format!("GPU: {name}"),
    };
    let backend = if gpu { "wgpu" } else { "flex" };
    let details = [
        ("Adapter", name.to_owned()),
        ("Backend", backend.to_owned()),
        ("Threads", threads.to_string()),
    ];
    let info = DeviceInfo {
        badge,
        description: device.description.clone(),
        gpu,
        compute,
        may_find_gpu: false,
        why: None,
        note,
        details: details.map(|(name, value)| (name.to_owned(), value)).into(),
    };
    Ok((device, info))
}

/// Every device that could be used. Looking for GPUs opens their drivers, so it is done only where `choice` may need one.
fn candidates(choice: DeviceChoice) -> Vec<Candidate> {
    let mut found = Vec::new();
    if choice != DeviceChoice::Cpu {
        found.extend(gpus());
    }
    found.extend(cpu());
    found
}

#[cfg(feature = "cpu")]
fn cpu() -> Option<Candidate> {
    Some(Candidate {
        choice: DeviceChoice::Cpu,
        name: platform::processor().0,
        software: false,
        device: burn::tensor::Device::flex(),
    })
}

#[cfg(not(feature = "cpu"))]
fn cpu() -> Option<Candidate> {
    None
}

#[cfg(feature = "wgpu")]
fn gpus() -> Vec<Candidate> {
    use burn::tensor::{Device, DeviceType};

    Device::enumerate(DeviceType::Wgpu)
        .into_iter()
        .filter_map(|device| {
            let name = device.identity()?.name;
            Some(Candidate {
                choice: DeviceChoice::Wgpu,
                software: is_software_adapter(&name),
                name,
                device,
            })
        })
        .collect()
}

#[cfg(not(feature = "wgpu"))]
fn gpus() -> Vec<Candidate> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crossover::lab::Request;

    use super::*;

    #[test]
    fn an_answer_wakes_whoever_waits() {
        let woken = Arc::new(AtomicUsize::new(0));
        let (teller, heard) = channel();
        let count = Arc::clone(&woken);
        let opening = Opening {
            compute: Compute::Processor,
            ..Opening::default()
        };
        let mut link = Link::open(
            opening,
            Arc::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = teller.send(());
            }),
        );
        heard.recv().unwrap();
        let mut messages = link.poll();
        link.send(Order::Lab(Command::Ask {
            request: 7,
            what: Request::Read {
                path: "no such file".to_owned(),
            },
        }));
        heard.recv().unwrap();
        messages.extend(link.poll());
        assert!(matches!(messages[0], Message::Storage(_)));
        assert!(
            matches!(&messages[1], Message::Opened(info) if info.badge == "Processor" && !info.gpu)
        );
        assert!(matches!(
            messages[2],
            Message::Lab(Event::Refused { request: 7, .. })
        ));
        assert!(woken.load(Ordering::SeqCst) >= 2);
    }

    #[test]
    fn a_lab_that_ends_is_lost() {
        let (teller, heard) = channel();
        let (commands, messages) = channel();
        let lab = Lab::open(choose(Compute::Processor).unwrap().0);
        forward(
            &lab,
            commands,
            Arc::new(move || {
                let _ = teller.send(());
            }),
        );
        // Its thread ends with the last hand on it.
        drop(lab);
        heard.recv().unwrap();
        assert!(matches!(
            messages.recv().unwrap(),
            Message::Lost {
                reason: Loss::Panic,
                ..
            }
        ));
    }
}
