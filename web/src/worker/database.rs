//! Files in IndexedDB, for browsers without a file system of the site's own: path to content, all of one visit's changes in
//! one transaction.

use js_sys::{Array, Function, Promise, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbFactory, IdbRequest, IdbTransaction, IdbTransactionMode};

use super::browser::{member, path};

const NAME: &str = "crossover";
const STORE: &str = "files";

/// The database.
pub(crate) struct Database(IdbDatabase);

impl Database {
    /// Opens it, new where there is none.
    pub async fn open() -> Result<Self, JsValue> {
        let factory: IdbFactory = path(&["indexedDB"])
            .ok_or_else(|| JsValue::from_str("there is no IndexedDB"))?
            .unchecked_into();
        let request = factory.open_with_u32(NAME, 1)?;
        let opening = request.clone();
        let upgrade = Closure::<dyn FnMut()>::new(move || {
            if let Ok(database) = opening.result() {
                // It is there already, or it is made; reading fails otherwise, which is noticed.
                let _ = database
                    .unchecked_into::<IdbDatabase>()
                    .create_object_store(STORE);
            }
        });
        request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
        let database = done(&request).await?;
        Ok(Self(database.unchecked_into()))
    }

    /// Every file.
    pub async fn read(&self) -> Result<Vec<(String, Vec<u8>)>, JsValue> {
        let transaction = self.0.transaction_with_str(STORE)?;
        let store = transaction.object_store(STORE)?;
        let (keys, values) = (store.get_all_keys()?, store.get_all()?);
        let keys: Array = done(&keys).await?.unchecked_into();
        let values: Array = done(&values).await?.unchecked_into();
        let files = keys.iter().zip(values.iter());
        Ok(files
            .filter_map(|(key, value)| Some((key.as_string()?, Uint8Array::new(&value).to_vec())))
            .collect())
    }

    /// Keeps or removes files, all of them or none.
    pub async fn write(&self, changes: &[(String, Option<Vec<u8>>)]) -> Result<(), JsValue> {
        let mode = IdbTransactionMode::Readwrite;
        let transaction = self.0.transaction_with_str_and_mode(STORE, mode)?;
        let store = transaction.object_store(STORE)?;
        for (path, content) in changes {
            let key = JsValue::from_str(path);
            match content {
                Some(content) => store.put_with_key(&Uint8Array::from(&content[..]), &key)?,
                None => store.delete(&key)?,
            };
        }
        completed(&transaction).await
    }
}

/// Waits for a request's result.
async fn done(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    match JsFuture::from(promise).await {
        Ok(_) => request.result(),
        Err(_) => Err(error_of(request)),
    }
}

/// Waits until a transaction is on disk.
async fn completed(transaction: &IdbTransaction) -> Result<(), JsValue> {
    let promise = Promise::new(&mut |resolve: Function, reject: Function| {
        transaction.set_oncomplete(Some(&resolve));
        transaction.set_onabort(Some(&reject));
    });
    match JsFuture::from(promise).await {
        Ok(_) => Ok(()),
        Err(_) => Err(error_of(transaction)),
    }
}

fn error_of(of: &JsValue) -> JsValue {
    member(of, "error").unwrap_or_else(|| JsValue::from_str("the database refused"))
}
