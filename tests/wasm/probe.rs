//! What a wasm build of the library makes of text and of chance, for `tests/tokenizers.rs` and `tests/sampling.rs` to
//! compare with a native build.
//!
//! `cargo xtask test` links it with the library alone. `run.mjs` calls it: it puts bytes into memory that `allocate`
//! returns, and reads results at the address in the upper half of a number and of the length in the lower half.

mod guess;

use std::cell::RefCell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crossover::corpus::Tokenizer;

thread_local! {
    static TOKENIZER: RefCell<Tokenizer> = RefCell::new(Tokenizer::byte());
}

/// Memory for the caller to write in. Nothing is freed: the module lives for one test.
#[unsafe(no_mangle)]
pub extern "C" fn allocate(length: usize) -> *mut u8 {
    Box::leak(vec![0; length].into_boxed_slice()).as_mut_ptr()
}

/// Makes a tokenizer of this name from one document, or reads its JSON form where the name is `json`.
///
/// # Safety
/// Both are memory that `allocate` returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn make(name: *const u8, name_length: usize, text: *const u8, length: usize) {
    let name = unsafe { std::slice::from_raw_parts(name, name_length) };
    let text = unsafe { std::slice::from_raw_parts(text, length) };
    let name = std::str::from_utf8(name).expect("a name");
    let made = match name {
        "json" => Tokenizer::from_json(std::str::from_utf8(text).expect("JSON")),
        _ => Tokenizer::for_documents(name, [Ok(text)]),
    };
    TOKENIZER.set(made.expect("a tokenizer"));
}

/// The tokenizer's JSON form.
#[unsafe(no_mangle)]
pub extern "C" fn json() -> u64 {
    let json = TOKENIZER
        .with_borrow(Tokenizer::to_json)
        .expect("a JSON form");
    returned(json.into_bytes())
}

/// The ids of a document, four bytes each.
///
/// # Safety
/// It is memory that `allocate` returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn encode(text: *const u8, length: usize) -> u64 {
    let text = unsafe { std::slice::from_raw_parts(text, length) };
    let ids = TOKENIZER.with_borrow(|tokenizer| tokenizer.encode_bytes(text));
    let ids = ids.expect("every text has ids");
    returned(ids.iter().flat_map(|id| id.to_le_bytes()).collect())
}

/// Texts by every sampler, as JSON lines.
#[unsafe(no_mangle)]
pub extern "C" fn texts() -> u64 {
    let mut texts = pin!(guess::texts());
    let mut context = Context::from_waker(Waker::noop());
    loop {
        // Nothing is waited for: each pause asks to be woken at once.
        if let Poll::Ready(texts) = texts.as_mut().poll(&mut context) {
            return returned(texts.expect("texts").into_bytes());
        }
    }
}

fn returned(bytes: Vec<u8>) -> u64 {
    let bytes = bytes.leak();
    (bytes.as_ptr() as u64) << 32 | bytes.len() as u64
}
