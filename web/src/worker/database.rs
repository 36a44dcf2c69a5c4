//! Files in IndexedDB, for browsers without a file system of the site's own: path to content, all of one look's changes in
//! one transaction.

use crossover_web::script::{call, member, path};
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

const NAME: &str = "crossover";
const STORE: &str = "files";

/// The database.
pub(crate) struct Database(JsValue);

impl Database {
    /// Opens it, new where there is none.
    pub async fn open() -> Result<Self, JsValue> {
        let factory =
            path(&["indexedDB"]).ok_or_else(|| JsValue::from_str("there is no IndexedDB"))?;
        let request = call(&factory, "open", &[NAME.into(), 1.into()])?;
        let opening = request.clone();
        let upgrade = Closure::<dyn FnMut()>::new(move || {
            if let Some(database) = member(&opening, "result") {
                // It is made, or it is there already; otherwise reading fails, which is noticed.
                let _ = call(&database, "createObjectStore", &[STORE.into()]);
            }
        });
        Reflect::set(&request, &"onupgradeneeded".into(), upgrade.as_ref())?;
        Ok(Self(done(&request).await?))
    }

    /// Every file.
    pub async fn read(&self) -> Result<Vec<(String, Vec<u8>)>, JsValue> {
        let transaction = call(&self.0, "transaction", &[STORE.into()])?;
        let store = call(&transaction, "objectStore", &[STORE.into()])?;
        let (keys, values) = (
            call(&store, "getAllKeys", &[])?,
            call(&store, "getAll", &[])?,
        );
        let keys: Array = done(&keys).await?.unchecked_into();
        let values: Array = done(&values).await?.unchecked_into();
        let files = keys.iter().zip(values.iter());
        Ok(files
            .filter_map(|(key, value)| Some((key.as_string()?, Uint8Array::new(&value).to_vec())))
            .collect())
    }

    /// Keeps or removes files, all of them or none.
    pub async fn write(&self, changes: &[(String, Option<Vec<u8>>)]) -> Result<(), JsValue> {
        let transaction = call(&self.0, "transaction", &[STORE.into(), "readwrite".into()])?;
        let store = call(&transaction, "objectStore", &[STORE.into()])?;
        for (path, content) in changes {
            let key = JsValue::from_str(path);
            match content {
                Some(content) => {
                    call(&store, "put", &[Uint8Array::from(&content[..]).into(), key])?
                }
                None => call(&store, "delete", &[key])?,
            };
        }
        happens(&transaction, "oncomplete", "onabort").await
    }
}

/// Waits for a request's result.
async fn done(request: &JsValue) -> Result<JsValue, JsValue> {
    // It may have an answer already, and will not say so again.
    if member(request, "readyState").is_some_and(|state| state == "done") {
        return Reflect::get(request, &"result".into());
    }
    happens(request, "onsuccess", "onerror").await?;
    Reflect::get(request, &"result".into())
}

/// Waits until one thing or the other happens, of which the second is an error.
async fn happens(of: &JsValue, good: &str, bad: &str) -> Result<(), JsValue> {
    let promise = Promise::new(&mut |resolve: Function, reject: Function| {
        // These members are there.
        let _ = Reflect::set(of, &good.into(), &resolve);
        let _ = Reflect::set(of, &bad.into(), &reject);
    });
    match JsFuture::from(promise).await {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(member(of, "error").unwrap_or_else(|| JsValue::from_str("the database refused")))
        }
    }
}
