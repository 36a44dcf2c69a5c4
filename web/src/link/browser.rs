//! A lab in a dedicated worker; where workers fail, the same program in the page.
//!
//! The page's HTML says in `globalThis.crossoverAssets` where the program is: `worker`, the address of its start-up module;
//! `here`, a function that starts it in the page on a message port; `bundled`, the folder of the bundled models.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use js_sys::{Array, Function, Promise, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::script::{Channel as Ports, Port, member, path, start_worker, text, wait};

use super::{
    Compute, Counters, Loading, Loss, Message, Opening, Order, Outbox, StorageInfo, Wake, loss_of,
};

/// Unread messages beyond which plain steps are thinned out: nobody looks at a hidden page.
const MANY: usize = 2000;

/// Where the page notes the run under way, and that files were kept.
const RUN: &str = "crossover.run";
const FILES: &str = "crossover.files";

thread_local! {
    static NEWEST: RefCell<Weak<Channel>> = const { RefCell::new(Weak::new()) };
}

/// A worker with a lab.
#[derive(Debug)]
pub struct Link {
    channel: Rc<Channel>,
}

/// Where orders go.
#[derive(Debug)]
enum End {
    Nowhere,
    Worker(Port),
    Here(Port),
}

/// What the link and the browser's callbacks share.
struct Channel {
    end: RefCell<End>,
    opening: RefCell<Opening>,
    wake: Wake,
    inbox: RefCell<Vec<Message>>,
    counters: Cell<Counters>,
    storage: RefCell<StorageInfo>,
    /// Whether the worker's program has said a word.
    ready: Cell<bool>,
    /// Whether the link has ended; what comes later is of no interest.
    ended: Cell<bool>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Channel")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Whether links give signs of life.
    pub const BEATS: bool = true;

    /// How long one may be silent, where that is not as usual: tests don't wait.
    pub fn patience() -> Option<f64> {
        parameter("test").and(parameter("silence"))?.parse().ok()
    }

    /// The run that was under way when the page was open last.
    pub fn remembered() -> Option<String> {
        noted(RUN)
    }

    /// Notes which run is under way.
    pub fn remember(run: Option<&str>) {
        note(RUN, run);
    }

    /// Opens a worker; `wake` is called when there is something to [`Link::poll`].
    pub fn open(mut opening: Opening, wake: Wake) -> Self {
        opening.had_files = noted(FILES).is_some();
        opening.bundled = absolute(&asset("bundled").unwrap_or_else(|| "bundled/".to_owned()));
        let channel = Rc::new(Channel {
            end: RefCell::new(End::Nowhere),
            opening: RefCell::new(opening),
            wake,
            inbox: RefCell::default(),
            counters: Cell::default(),
            storage: RefCell::default(),
            ready: Cell::new(false),
            ended: Cell::new(false),
        });
        NEWEST.set(Rc::downgrade(&channel));
        channel.start_worker();
        Self { channel }
    }

    /// Carries an order.
    pub fn send(&mut self, order: Order) {
        self.channel.send(order);
    }

    /// What came since the last time.
    pub fn poll(&mut self) -> Vec<Message> {
        self.channel.inbox.take()
    }

    /// What was carried so far.
    pub fn counters(&self) -> Counters {
        self.channel.counters.get()
    }

    /// Asks the browser not to clear files by itself. Only a page can ask.
    pub fn keep_data(&mut self) {
        let channel = Rc::downgrade(&self.channel);
        spawn_local(async move {
            let Some(storage) = path(&["navigator", "storage"]) else {
                return;
            };
            let kept = wait(&storage, "persist", &[]).await;
            if let Some(channel) = channel.upgrade() {
                let mut info = channel.storage.borrow().clone();
                info.kept = kept.is_ok_and(|kept| kept.is_truthy());
                channel.receive(Message::Storage(info));
                (channel.wake)();
            }
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.channel.ended.set(true);
        self.channel.stop();
    }
}

impl Channel {
    /// Starts the program in a worker.
    fn start_worker(self: &Rc<Self>) {
        let Some(address) = asset("worker") else {
            return self.start_here("the page names no worker");
        };
        let worker = match start_worker(&absolute(&address)) {
            Ok(worker) => worker,
            Err(error) => return self.start_here(&text(&error)),
        };
        let channel = Rc::downgrade(self);
        let failed = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
            if let Some(channel) = channel.upgrade() {
                // A module that can't be loaded gives no text.
                let detail = member(&event, "message").and_then(|detail| detail.as_string());
                channel.failed(&detail.unwrap_or_default());
            }
        });
        worker.listen(&self.listener());
        worker.listen_to_errors(failed.as_ref().unchecked_ref());
        // Workers are few: one for each loss.
        failed.forget();
        *self.end.borrow_mut() = End::Worker(worker);
    }

    /// Starts the program in the page: it shares the page's thread, but it runs.
    fn start_here(self: &Rc<Self>, why: &str) {
        let unreachable = |channel: &Rc<Self>, detail: String| {
            channel.receive(Message::Unreachable {
                loading: Loading::default(),
                detail,
            });
            (channel.wake)();
        };
        let here = path(&["crossoverAssets", "here"]);
        let Some(here) = here.and_then(|here| here.dyn_into::<Function>().ok()) else {
            return unreachable(self, why.to_owned());
        };
        let Ok(ports) = Ports::new() else {
            return unreachable(self, why.to_owned());
        };
        self.stop();
        {
            let mut opening = self.opening.borrow_mut();
            opening.compute = Compute::Processor;
            opening.here = true;
        }
        let port = ports.port1();
        port.listen(&self.listener());
        *self.end.borrow_mut() = End::Here(port);
        let started = here.call1(&JsValue::NULL, &ports.port2());
        let channel = Rc::downgrade(self);
        spawn_local(async move {
            let failed = match started.map(|started| started.dyn_into::<Promise>()) {
                Ok(Ok(promise)) => JsFuture::from(promise).await.err(),
                Ok(Err(_)) => None,
                Err(error) => Some(error),
            };
            if let (Some(error), Some(channel)) = (failed, channel.upgrade()) {
                unreachable(&channel, text(&error));
            }
        });
    }

    fn listener(self: &Rc<Self>) -> Function {
        let channel = Rc::downgrade(self);
        let heard = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
            if let Some(channel) = channel.upgrade() {
                channel.hear(&member(&event, "data").unwrap_or_default());
            }
        });
        heard.into_js_value().unchecked_into()
    }

    /// A batch: an array of the JSON and the files beside it.
    fn hear(self: &Rc<Self>, data: &JsValue) {
        if self.ended.get() {
            return;
        }
        let Some(batch) = data.dyn_ref::<Array>() else {
            return;
        };
        let json = batch.get(0).as_string().unwrap_or_default();
        let mut counters = self.counters.get();
        counters.messages += 1;
        counters.bytes += json.len() as u64;
        let messages: Vec<Message> = match serde_json::from_str(&json) {
            Ok(messages) => messages,
            Err(error) => {
                return self.failed(&format!("the worker speaks another language: {error}"));
            }
        };
        let mut files = 1..batch.length();
        for mut message in messages {
            if let Some(content) = message.content_mut()
                && let Some(index) = files.next()
            {
                *content = Uint8Array::new(&batch.get(index)).to_vec();
                counters.file_bytes += content.len() as u64;
            }
            self.receive(message);
        }
        self.counters.set(counters);
        (self.wake)();
    }

    fn receive(self: &Rc<Self>, message: Message) {
        let in_worker = matches!(*self.end.borrow(), End::Worker(_));
        match &message {
            Message::Ready => {
                self.ready.set(true);
                let opening = self.opening.borrow().clone();
                self.send(Order::Open(opening));
            }
            // What does not run in a worker may run in the page; what is not there runs nowhere.
            Message::Unreachable { loading, detail }
                if in_worker && loading.loaded >= loading.total =>
            {
                let detail = detail.clone();
                return self.start_here(&detail);
            }
            Message::Storage(info) => {
                note(FILES, (info.files > 0).then_some("1"));
                *self.storage.borrow_mut() = info.clone();
            }
            Message::Lost { .. } => self.ended.set(true),
            _ => {}
        }
        let mut inbox = self.inbox.borrow_mut();
        inbox.push(message);
        if inbox.len() > MANY {
            let mut thinned = Outbox::default();
            for message in inbox.drain(..) {
                thinned.push(message);
            }
            *inbox = thinned.take();
        }
    }

    /// The worker reported an error of its own.
    fn failed(self: &Rc<Self>, detail: &str) {
        if self.ended.get() {
            return;
        }
        if !self.ready.get() {
            let in_worker = matches!(*self.end.borrow(), End::Worker(_));
            if in_worker {
                self.start_here(detail);
            }
            return;
        }
        self.receive(Message::Lost {
            reason: loss_of(detail).unwrap_or(Loss::Panic),
            detail: detail.to_owned(),
        });
        (self.wake)();
    }

    fn send(&self, mut order: Order) {
        let content = order.content_mut().map(std::mem::take);
        let Ok(json) = serde_json::to_string(&order) else {
            return;
        };
        let message = Array::of1(&json.into());
        let transfer = Array::new();
        if let Some(content) = content {
            let buffer = Uint8Array::from(content.as_slice()).buffer();
            message.push(&buffer);
            transfer.push(&buffer);
        }
        // An end that is gone says so by its silence.
        let _ = match &*self.end.borrow() {
            End::Nowhere => Ok(()),
            End::Worker(port) | End::Here(port) => port.post(&message, &transfer),
        };
    }

    fn stop(&self) {
        match self.end.replace(End::Nowhere) {
            End::Nowhere => {}
            End::Worker(worker) => worker.terminate(),
            End::Here(port) => port.close(),
        }
    }
}

/// Sends an order to the newest link.
pub(super) fn order_newest(order: Order) {
    if let Some(channel) = NEWEST.with_borrow(Weak::upgrade) {
        channel.send(order);
    }
}

/// Ends the newest link's worker without a word.
pub(super) fn terminate_newest() {
    if let Some(channel) = NEWEST.with_borrow(Weak::upgrade) {
        channel.stop();
    }
}

/// A parameter of the page's address; empty where it has no value.
pub(super) fn parameter(name: &str) -> Option<String> {
    let search = web_sys::window()?.location().search().ok()?;
    search
        .trim_start_matches('?')
        .split('&')
        .find_map(|pair| match pair.split_once('=') {
            Some((key, value)) => (key == name).then(|| value.to_owned()),
            None => (pair == name).then(String::new),
        })
}

fn asset(name: &str) -> Option<String> {
    path(&["crossoverAssets", name])?.as_string()
}

/// An address as the worker needs it, whose own is another.
fn absolute(address: &str) -> String {
    let base = path(&["document", "baseURI"]).unwrap_or_default();
    path(&["URL"])
        .and_then(|url| url.dyn_into::<Function>().ok())
        .and_then(|url| js_sys::Reflect::construct(&url, &Array::of2(&address.into(), &base)).ok())
        .and_then(|url| member(&url, "href")?.as_string())
        .unwrap_or_else(|| address.to_owned())
}

/// Keeps a short text for the next visit, or none.
pub(super) fn note(name: &str, value: Option<&str>) {
    // A browser that keeps nothing has nothing to be reminded of.
    if let Some(storage) = local() {
        let _ = match value {
            Some(value) => storage.set_item(name, value),
            None => storage.remove_item(name),
        };
    }
}

/// What was kept by [`note`].
pub(super) fn noted(name: &str) -> Option<String> {
    local()?.get_item(name).ok().flatten()
}

fn local() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok().flatten()
}
