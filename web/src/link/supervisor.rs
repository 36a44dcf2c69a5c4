//! A lab that comes back: what [`Watch`] decides, done to real links.

use std::sync::{Arc, Mutex, PoisonError};

use crossover::lab::{Command, Event};

use super::watch::{Deed, Watch, Watched};
use super::{
    Action, Compute, Counters, DeviceInfo, Link, Loading, Notice, Order, Severity, StorageInfo,
    Wake,
};

/// Who does what a button stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is done.
    Done,
    /// The app does it.
    Yours,
}

/// The app's way to the lab, whatever happens to it.
pub struct Supervisor {
    watch: Watch,
    link: Option<Link>,
    /// What wakes whoever draws: another one when everything is drawn anew.
    wake: Arc<Mutex<Wake>>,
    /// What links that are gone have carried.
    before: Counters,
    now: f64,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Supervisor")
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}

impl Supervisor {
    /// Opens a lab; `wake` is called when there is something to [`Supervisor::poll`].
    pub fn open(compute: Compute, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let watch = Watch::new(compute, Link::remembered(), Link::BEATS, Link::patience());
        let mut supervisor = Self {
            watch,
            link: None,
            wake: Arc::new(Mutex::new(Arc::new(wake))),
            before: Counters::default(),
            now: 0.0,
        };
        supervisor.carry_out();
        supervisor
    }

    /// From now on this is called when there is something to [`Supervisor::poll`].
    pub fn wake_by(&mut self, wake: impl Fn() + Send + Sync + 'static) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(wake);
    }

    /// The lab's events since the last time; `now` is in seconds of a clock that only goes forward. To be called once a
    /// second at least while something is under way.
    pub fn poll(&mut self, now: f64) -> Vec<Event> {
        self.now = now;
        let messages = self.link.as_mut().map(Link::poll).unwrap_or_default();
        for message in messages {
            self.watch.hear(message, now);
            // The rest is from a link that may just have been given up.
            if self.carry_out() {
                break;
            }
        }
        self.watch.look(now);
        self.carry_out();
        self.watch.events()
    }

    /// Sends a command, as soon as there is a lab to take it.
    pub fn send(&mut self, command: Command) {
        self.watch.command(command);
        self.carry_out();
    }

    /// What the lab computes on, once that is known.
    pub fn device(&self) -> Option<&DeviceInfo> {
        self.watch.device.as_ref()
    }

    /// What was asked for to compute on.
    pub fn compute(&self) -> Compute {
        self.watch.compute
    }

    /// How files are kept.
    pub fn storage(&self) -> &StorageInfo {
        &self.watch.storage
    }

    /// What a person should read, oldest first.
    pub fn notices(&self) -> &[Notice] {
        self.watch.notices()
    }

    /// How much of the lab's program has arrived, while it is on its way.
    pub fn loading(&self) -> Option<Loading> {
        self.watch.loading
    }

    /// The run under way.
    pub fn run(&self) -> Option<&Watched> {
        self.watch.run.as_ref()
    }

    /// What was carried so far.
    pub fn counters(&self) -> Counters {
        let mut counters = self.before;
        if let Some(link) = &self.link {
            add(&mut counters, link.counters());
        }
        counters.memory = self.watch.memory;
        counters
    }

    /// A notice's button was pressed.
    pub fn act(&mut self, notice: u64, action: Action) -> Then {
        let done = self.watch.act(notice, action, self.now);
        self.carry_out();
        match done {
            true => Then::Done,
            false => Then::Yours,
        }
    }

    /// A notice was read.
    pub fn dismiss(&mut self, notice: u64) {
        self.watch.dismiss(notice);
    }

    /// Moves to another device; a run under way is carried on there.
    pub fn choose(&mut self, compute: Compute) {
        self.watch.choose(compute, self.now);
        self.carry_out();
    }

    /// Asks the browser not to clear files by itself; [`StorageInfo::kept`] says whether it agreed.
    pub fn keep_data(&mut self) {
        if let Some(link) = &mut self.link {
            link.keep_data();
        }
    }

    /// Tells a person something of the app's own.
    pub fn say(&mut self, severity: Severity, text: impl Into<String>, actions: Vec<Action>) {
        self.watch.say(severity, text.into(), actions);
    }

    /// Everything that helps to find out what went wrong, as text.
    pub fn diagnostics(&self) -> String {
        let mut lines = vec![
            format!("Crossover {}", env!("CARGO_PKG_VERSION")),
            format!("asked for: {}", self.watch.compute.label()),
        ];
        if let Some(device) = self.device() {
            lines.push(format!("{} - {}", device.badge, device.description));
            lines.extend(device.note.clone());
            lines.extend(
                device
                    .details
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}")),
            );
        }
        let storage = self.storage();
        let bytes =
            |bytes: Option<f64>| bytes.map_or("?".to_owned(), |bytes| format!("{bytes:.0}"));
        lines.push(format!(
            "storage: {}, {} of {} bytes, {} files{}{}{}",
            storage.place.label(),
            bytes(storage.used),
            bytes(storage.quota),
            storage.files,
            if storage.kept { ", kept" } else { "" },
            if storage.full { ", full" } else { "" },
            if storage.read_only { ", read-only" } else { "" },
        ));
        if let Some(run) = self.run() {
            lines.push(format!(
                "run: {} at step {} of {}, saved at {}",
                run.folder, run.step, run.steps, run.saved
            ));
        }
        let counters = self.counters();
        lines.push(format!(
            "carried: {} messages, {} bytes, {} bytes of files; worker memory {} bytes",
            counters.messages, counters.bytes, counters.file_bytes, counters.memory
        ));
        for notice in self.notices() {
            lines.push(format!("notice: {}", notice.text));
            lines.extend(notice.more.iter().map(|more| format!("  {more}")));
        }
        lines.join("\n")
    }

    /// Does what was decided; says whether the link is another one now.
    fn carry_out(&mut self) -> bool {
        let mut changed = false;
        for deed in self.watch.deeds() {
            match deed {
                Deed::Open(opening) => {
                    self.drop_link();
                    let wake = Arc::clone(&self.wake);
                    let wake = move || {
                        let wake = wake.lock().unwrap_or_else(PoisonError::into_inner).clone();
                        wake();
                    };
                    self.link = Some(Link::open(opening, Arc::new(wake)));
                    changed = true;
                }
                Deed::Drop => {
                    self.drop_link();
                    changed = true;
                }
                Deed::Send(order) => self.order(order),
                Deed::Remember(run) => Link::remember(run.as_deref()),
            }
        }
        changed
    }

    fn order(&mut self, order: Order) {
        if let Some(link) = &mut self.link {
            link.send(order);
        }
    }

    fn drop_link(&mut self) {
        if let Some(link) = self.link.take() {
            add(&mut self.before, link.counters());
        }
    }
}

fn add(to: &mut Counters, more: Counters) {
    to.messages += more.messages;
    to.bytes += more.bytes;
    to.file_bytes += more.file_bytes;
}
