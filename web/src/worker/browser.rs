//! The few things of a browser that are the same in a worker and in a page.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: &Function, milliseconds: f64);

    #[wasm_bindgen(js_name = fetch, catch)]
    fn fetch_address(address: &str) -> Result<Promise, JsValue>;
}

/// Waits.
pub(crate) async fn sleep(seconds: f64) {
    let timer = Promise::new(&mut |resolve, _| set_timeout(&resolve, seconds * 1000.0));
    // A timer never fails.
    let _ = JsFuture::from(timer).await;
}

/// A member, where the object has it.
pub(crate) fn member(of: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(of, &name.into())
        .ok()
        .filter(|value| !value.is_undefined() && !value.is_null())
}

/// A member that is reached through others.
pub(crate) fn path(names: &[&str]) -> Option<JsValue> {
    names
        .iter()
        .try_fold(js_sys::global().into(), |of: JsValue, name| {
            member(&of, name)
        })
}

/// Calls a method that gives a promise, and waits for it.
pub(crate) async fn call(of: &JsValue, name: &str, given: &[JsValue]) -> Result<JsValue, JsValue> {
    let method: Function = Reflect::get(of, &name.into())?.dyn_into()?;
    let promise = method.apply(of, &given.iter().collect())?;
    JsFuture::from(Promise::resolve(&promise)).await
}

/// Reads a file of the site; `None` when it is not there.
pub(crate) async fn fetch(address: &str) -> Option<Vec<u8>> {
    let response = JsFuture::from(fetch_address(address).ok()?).await.ok()?;
    member(&response, "ok").filter(JsValue::is_truthy)?;
    let buffer = call(&response, "arrayBuffer", &[]).await.ok()?;
    Some(js_sys::Uint8Array::new(&buffer).to_vec())
}

/// What an error says.
pub(crate) fn text(error: &JsValue) -> String {
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
pub(crate) fn memory() -> u64 {
    let memory = wasm_bindgen::memory();
    member(&memory, "buffer")
        .and_then(|buffer| member(&buffer, "byteLength")?.as_f64())
        .unwrap_or_default() as u64
}
