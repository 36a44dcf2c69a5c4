//! The worker's half of the link: orders in, batches of messages out.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use async_channel::Receiver;
use crossover::lab::{CheckpointKind, Command, Event, Lab};
use crossover::platform::{self, Instant};
use crossover_web::link::{Loss, Message, Opening, Order, Outbox, loss_of};
use crossover_web::script::{Port, member, memory, sleep};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::storage::{self, Storage};
use super::{adapter, waker};

/// Seconds between two signs of life.
const BEAT: f64 = 1.0;
/// Least seconds between two looks for changed files, and the share of the time that keeping them may take.
const KEEP: f64 = 2.0;
const KEEPING: f64 = 0.1;
/// Most seconds between two looks.
const LATEST: f64 = 8.0;
/// Seconds in which checkpoints that are saved together come.
const TOGETHER: f64 = 0.1;
/// Signs of life between two looks at how full the storage is.
const MEASURE: u32 = 10;

thread_local! {
    static SERVICE: RefCell<Option<Rc<Service>>> = const { RefCell::new(None) };
}

/// What everything here shares.
struct Service {
    port: Port,
    began: Instant,
    outbox: RefCell<Outbox>,
    /// Whether a timer is set for the next batch.
    timed: Cell<bool>,
    lab: RefCell<Option<Lab>>,
    /// What came before the lab was open.
    waiting: RefCell<Vec<Command>>,
    storage: RefCell<Option<Rc<Storage>>>,
    /// Whether a run is under way.
    runs: Cell<bool>,
    /// Whether everything is to be kept as soon as the run has ended.
    closing: Cell<bool>,
    gpu: Cell<bool>,
    /// Whether the page was told that the lab is lost.
    lost: Cell<bool>,
}

/// Serves the lab on a port. The first order that comes says on what device.
#[wasm_bindgen]
pub fn serve(port: Port) {
    let service = Rc::new(Service {
        port,
        began: platform::now(),
        outbox: RefCell::default(),
        timed: Cell::new(false),
        lab: RefCell::new(None),
        waiting: RefCell::default(),
        storage: RefCell::new(None),
        runs: Cell::new(false),
        closing: Cell::new(false),
        gpu: Cell::new(false),
        lost: Cell::new(false),
    });
    SERVICE.set(Some(Rc::clone(&service)));
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        web_sys::console::error_1(&text.as_str().into());
        // The last chance to say a word.
        let _ = SERVICE.try_with(|service| {
            if let Ok(service) = service.try_borrow()
                && let Some(service) = service.as_ref()
            {
                service.die(&text);
            }
        });
    }));
    let hearing = Rc::clone(&service);
    let heard = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
        hearing.hear(&member(&event, "data").unwrap_or_default());
    });
    service.port.listen(heard.as_ref().unchecked_ref());
    // It lives as long as the program.
    heard.forget();
    service.post(vec![Message::Ready]);
}

/// The browser held us up.
pub(crate) fn slept(seconds: f64) {
    SERVICE.with_borrow(|service| {
        if let Some(service) = service {
            service.tell(Message::Slept { seconds });
        }
    });
}

impl Service {
    fn hear(self: &Rc<Self>, data: &JsValue) {
        let Some(parts) = data.dyn_ref::<Array>() else {
            return;
        };
        let json = parts.get(0).as_string().unwrap_or_default();
        let mut order: Order = match serde_json::from_str(&json) {
            Ok(order) => order,
            Err(error) => {
                // Only a page of another version says what we don't understand.
                return self.die(&format!("the page speaks another language: {error}"));
            }
        };
        if let Some(content) = order.content_mut() {
            *content = Uint8Array::new(&parts.get(1)).to_vec();
        }
        match order {
            Order::Open(opening) => {
                let service = Rc::clone(self);
                spawn_local(async move { service.open(opening).await });
            }
            Order::Lab(command) => match self.lab.borrow().as_ref() {
                Some(lab) => lab.send(command),
                None => self.waiting.borrow_mut().push(command),
            },
            Order::Close => {
                self.closing.set(true);
                match (self.runs.get(), self.lab.borrow().as_ref()) {
                    (true, Some(lab)) => lab.send(Command::Stop),
                    _ => self.close(),
                }
            }
            Order::LoseDevice => {
                if !(self.gpu.get() && adapter::destroy()) {
                    self.lose(Loss::Device, "a test lost the device");
                }
            }
            Order::Panic => panic!("a test asked for a panic"),
            Order::FillStorage => {
                if let Some(storage) = self.storage.borrow().as_ref() {
                    storage.fill();
                }
            }
        }
    }

    async fn open(self: Rc<Self>, opening: Opening) {
        if let Err(error) = waker::install() {
            web_sys::console::warn_1(&error);
        }
        self.spawn(Self::beat);
        let storage = Rc::new(Storage::open(opening.again, opening.had_files).await);
        self.tell(Message::Storage(storage.info()));
        *self.storage.borrow_mut() = Some(storage);
        storage::restore_bundled(&opening.bundled).await;
        let (device, info) = match adapter::choose(opening.compute, opening.here).await {
            Ok(chosen) => chosen,
            Err(error) => return self.lose(Loss::Device, &error.to_string()),
        };
        self.gpu.set(info.gpu);
        if info.gpu {
            self.spawn(Self::watch_device);
        }
        let lab = Lab::open(device);
        let events = lab.events().clone();
        for command in self.waiting.take() {
            lab.send(command);
        }
        *self.lab.borrow_mut() = Some(lab);
        self.tell(Message::Opened(info));
        let service = Rc::clone(&self);
        spawn_local(async move { service.forward(events).await });
        self.spawn(Self::keep);
        self.spawn(Self::take_turn);
    }

    fn spawn<Task>(self: &Rc<Self>, task: impl FnOnce(Rc<Self>) -> Task)
    where
        Task: Future<Output = ()> + 'static,
    {
        spawn_local(task(Rc::clone(self)));
    }

    async fn forward(self: Rc<Self>, events: Receiver<Event>) {
        while let Ok(event) = events.recv().await {
            self.event(event);
            // What is there already goes into the same batch.
            while let Ok(event) = events.try_recv() {
                self.event(event);
            }
            self.flush();
        }
    }

    fn event(self: &Rc<Self>, event: Event) {
        if let Event::Failed { message, .. } = &event
            && let Some(reason) = loss_of(message)
        {
            return self.lose(reason, message);
        }
        if matches!(event, Event::Started(_)) {
            self.runs.set(true);
        }
        if is_state(&event) {
            // The sooner it is on disk, the less a crash costs; what is saved together comes together. The page is told once
            // it would outlast us.
            return self.spawn(|service| async move {
                sleep(TOGETHER).await;
                service.keep_now().await;
                let storage = service.storage.borrow().clone();
                if storage.is_none_or(|storage| !storage.info().full) {
                    service.tell(Message::Lab(event));
                }
            });
        }
        let ended = event.ends_run();
        self.outbox.borrow_mut().push(Message::Lab(event));
        if ended {
            self.runs.set(false);
            match self.closing.get() {
                true => self.close(),
                false => self.spawn(|service| async move { service.keep_now().await }),
            }
        }
    }

    /// Keeps every file, and says so.
    fn close(self: &Rc<Self>) {
        self.spawn(|service| async move {
            service.keep_now().await;
            service.tell(Message::Closed);
        });
    }

    /// Signs of life.
    async fn beat(self: Rc<Self>) {
        for beats in 1_u32.. {
            sleep(BEAT).await;
            self.tell(Message::Alive { memory: memory() });
            let storage = self.storage.borrow().clone();
            if let Some(storage) = storage
                && beats.is_multiple_of(MEASURE)
            {
                let before = storage.info();
                storage.measure().await;
                if storage.info() != before {
                    self.tell(Message::Storage(storage.info()));
                }
            }
        }
    }

    /// Keeps what changed, again and again.
    async fn keep(self: Rc<Self>) {
        let mut pause = KEEP;
        loop {
            sleep(pause).await;
            let began = platform::now();
            self.keep_now().await;
            let share = 1.0 / KEEPING - 1.0;
            pause = (began.elapsed().as_secs_f64() * share).clamp(KEEP, LATEST);
        }
    }

    /// Keeps what changed.
    async fn keep_now(self: &Rc<Self>) {
        let Some(storage) = self.storage.borrow().clone() else {
            return;
        };
        let before = storage.info();
        storage.keep().await;
        if storage.info() != before {
            self.tell(Message::Storage(storage.info()));
        }
    }

    /// Where another tab writes, waits until it is gone.
    async fn take_turn(self: Rc<Self>) {
        let Some(storage) = self.storage.borrow().clone() else {
            return;
        };
        if storage.wait_for_turn().await {
            self.tell(Message::Storage(storage.info()));
        }
    }

    async fn watch_device(self: Rc<Self>) {
        if let Some(said) = adapter::lost().await {
            self.lose(Loss::Device, &said);
        }
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn tell(self: &Rc<Self>, message: Message) {
        self.outbox.borrow_mut().push(message);
        self.flush();
    }

    /// Posts what waits, now or when it is due.
    fn flush(self: &Rc<Self>) {
        let due = self.outbox.borrow().due(self.now());
        match due {
            Some(wait) if wait <= 0.0 => {
                let messages = self.outbox.borrow_mut().take();
                self.post(messages);
            }
            Some(wait) if !self.timed.replace(true) => self.spawn(|service| async move {
                // Something that may not wait may come before then.
                sleep(wait.min(0.05)).await;
                service.timed.set(false);
                service.flush();
            }),
            _ => {}
        }
    }

    fn post(&self, mut messages: Vec<Message>) {
        let parts = Array::new();
        let files = Array::new();
        for content in messages.iter_mut().filter_map(Message::content_mut) {
            files.push(&Uint8Array::from(&std::mem::take(content)[..]).buffer());
        }
        let Ok(json) = serde_json::to_string(&messages) else {
            return;
        };
        parts.push(&json.as_str().into());
        for file in files.iter() {
            parts.push(&file);
        }
        // A page that is gone has ended us too.
        let _ = self.port.post(&parts, &files);
        if let Ok(mut outbox) = self.outbox.try_borrow_mut() {
            outbox.posted(json.len(), self.now());
        }
    }

    /// The lab is lost: the page is told at once, after everything that was before.
    fn lose(&self, reason: Loss, detail: &str) {
        if self.lost.replace(true) {
            return;
        }
        // A panic may come from within anything.
        let mut messages = match self.outbox.try_borrow_mut() {
            Ok(mut outbox) => outbox.take(),
            Err(_) => Vec::new(),
        };
        messages.push(Message::Lost {
            reason,
            detail: detail.to_owned(),
        });
        self.post(messages);
    }

    /// The program ends with these words.
    fn die(&self, words: &str) {
        // What a GPU library panics about, when it does, is most often its device.
        let of_gpu =
            self.gpu.get() && (words.contains("map buffer") || words.contains("wgpu error"));
        let reason = match loss_of(words) {
            Some(reason) => reason,
            None if of_gpu => Loss::Device,
            None => Loss::Panic,
        };
        self.lose(reason, words);
    }
}

/// Whether a model's last state was just written.
fn is_state(event: &Event) -> bool {
    matches!(
        event,
        Event::Checkpoint {
            kind: CheckpointKind::Last,
            ..
        }
    )
}
