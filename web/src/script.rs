//! What page and worker ask of the browser by hand: objects of which only a method or two matters, and those that are
//! there in some browsers only, so that each must be looked for.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// What messages come and go by: a worker, its own scope, or one end of a channel.
    #[derive(Debug, Clone)]
    pub type Port;

    /// Sends a message, and gives away what is in `transfer`.
    #[wasm_bindgen(method, structural, js_name = postMessage, catch)]
    pub fn post(this: &Port, message: &JsValue, transfer: &Array) -> Result<(), JsValue>;

    /// Says who hears messages.
    #[wasm_bindgen(method, structural, setter, js_name = onmessage)]
    pub fn listen(this: &Port, listener: &Function);

    /// Says who hears errors of a worker.
    #[wasm_bindgen(method, structural, setter, js_name = onerror)]
    pub fn listen_to_errors(this: &Port, listener: &Function);

    /// Ends a worker.
    #[wasm_bindgen(method, structural)]
    pub fn terminate(this: &Port);

    /// Ends one end of a channel.
    #[wasm_bindgen(method, structural)]
    pub fn close(this: &Port);

    /// A program beside the page.
    #[wasm_bindgen(extends = Port)]
    #[derive(Debug, Clone)]
    pub type Worker;

    #[wasm_bindgen(constructor, js_class = "Worker", catch)]
    fn new_with(address: &str, options: &Object) -> Result<Worker, JsValue>;

    /// Two ports; what goes into one comes out of the other.
    #[derive(Debug, Clone)]
    #[wasm_bindgen(js_name = MessageChannel)]
    pub type Channel;

    /// Makes a channel.
    #[wasm_bindgen(constructor, js_class = "MessageChannel", catch)]
    pub fn new() -> Result<Channel, JsValue>;

    /// One end.
    #[wasm_bindgen(method, getter)]
    pub fn port1(this: &Channel) -> Port;

    /// The other end.
    #[wasm_bindgen(method, getter)]
    pub fn port2(this: &Channel) -> Port;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: &Function, milliseconds: f64);

    #[wasm_bindgen(js_name = fetch, catch)]
    fn fetch_address(address: &str) -> Result<Promise, JsValue>;
}

/// Starts a worker from the address of a module.
///
/// # Errors
/// When the browser has no workers or forbids this one.
pub fn start_worker(address: &str) -> Result<Port, JsValue> {
    let worker = Worker::new_with(address, &object(&[("type", "module".into())])?)?;
    Ok(worker.into())
}

/// An object with these members.
///
/// # Errors
/// Never, with plain members.
pub fn object(members: &[(&str, JsValue)]) -> Result<Object, JsValue> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &(*name).into(), value)?;
    }
    Ok(object)
}

/// Waits.
pub async fn sleep(seconds: f64) {
    let timer = Promise::new(&mut |resolve, _| set_timeout(&resolve, seconds * 1000.0));
    // A timer never fails.
    let _ = JsFuture::from(timer).await;
}

/// A member, where the object has it.
pub fn member(of: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(of, &name.into())
        .ok()
        .filter(|value| !value.is_undefined() && !value.is_null())
}

/// A global, or what is reached from it through members.
pub fn path(names: &[&str]) -> Option<JsValue> {
    names
        .iter()
        .try_fold(js_sys::global().into(), |of: JsValue, name| {
            member(&of, name)
        })
}

/// Calls a method.
///
/// # Errors
/// When there is none, or what it throws.
pub fn call(of: &JsValue, name: &str, given: &[JsValue]) -> Result<JsValue, JsValue> {
    let method: Function = Reflect::get(of, &name.into())?.dyn_into()?;
    method.apply(of, &given.iter().collect())
}

/// Calls a method that gives a promise, and waits for it.
///
/// # Errors
/// When there is none, or what it throws, at once or later.
pub async fn wait(of: &JsValue, name: &str, given: &[JsValue]) -> Result<JsValue, JsValue> {
    let promise = call(of, name, given)?;
    JsFuture::from(Promise::resolve(&promise)).await
}

/// Reads a file of the site; `None` when it is not there.
pub async fn fetch(address: &str) -> Option<Vec<u8>> {
    let response = JsFuture::from(fetch_address(address).ok()?).await.ok()?;
    member(&response, "ok").filter(JsValue::is_truthy)?;
    let buffer = wait(&response, "arrayBuffer", &[]).await.ok()?;
    Some(js_sys::Uint8Array::new(&buffer).to_vec())
}

/// What an error says.
pub fn text(error: &JsValue) -> String {
    match (member(error, "name"), member(error, "message")) {
        (Some(name), Some(message)) => format!(
            "{}: {}",
            name.as_string().unwrap_or_default(),
            message.as_string().unwrap_or_default()
        ),
        _ => error.as_string().unwrap_or_else(|| format!("{error:?}")),
    }
}

/// Bytes of this program's memory.
pub fn memory() -> u64 {
    let memory = wasm_bindgen::memory();
    member(&memory, "buffer")
        .and_then(|buffer| member(&buffer, "byteLength")?.as_f64())
        .unwrap_or_default() as u64
}
