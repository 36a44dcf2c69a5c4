//! What `tokenizers` makes of the files in a folder by its own batch encoding, on all threads that rayon has, and how long that
//! takes without reading them. `cargo xtask long tokenize` holds `crossover corpus files` against it.
//!
//! ```text
//! $ cargo run --release --example encode_batch -- tokenizer.json text/
//! {"method":"encode_batch","bytes":20000412,"tokens":5563020,"seconds":4.9}
//! {"method":"encode_batch_fast","bytes":20000412,"tokens":5563020,"seconds":4.1}
//! ```

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use tokenizers::{Encoding, Tokenizer};

/// Bytes of text that are encoded at once: a longer list of encodings takes more memory, and no less time.
const BATCH_BYTES: usize = 8 << 20;

/// What separates documents.
const DOCUMENT_END: &str = "\n<|endoftext|>\n";

/// A way of encoding many texts.
type Encode = fn(&Tokenizer, Vec<&str>) -> tokenizers::Result<Vec<Encoding>>;

const METHODS: [(&str, Encode); 2] = [
    ("encode_batch", |tokenizer, texts| {
        tokenizer.encode_batch(texts, false)
    }),
    // Without the place of each token in the text.
    ("encode_batch_fast", |tokenizer, texts| {
        tokenizer.encode_batch_fast(texts, false)
    }),
];

#[allow(
    clippy::disallowed_methods,
    reason = "no browser runs this, and its clock is the standard one"
)]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tokenizer, folder] = &arguments[..] else {
        return Err("usage: encode_batch TOKENIZER.json FOLDER".into());
    };
    let mut files = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    for (method, encode) in METHODS {
        // Anew for each, as it keeps the words that it has seen.
        let tokenizer = Tokenizer::from_file(tokenizer)?;
        let (mut bytes, mut tokens, mut took) = (0, 0, Duration::ZERO);
        for file in &files {
            let text = fs::read_to_string(file)?;
            bytes += text.len();
            let mut documents = text
                .split(DOCUMENT_END)
                .filter(|document| !document.is_empty())
                .peekable();
            while documents.peek().is_some() {
                let mut batch = Vec::new();
                let mut room = BATCH_BYTES;
                while let Some(document) = documents.next_if(|_| room > 0) {
                    room = room.saturating_sub(document.len());
                    batch.push(document);
                }
                let began = Instant::now();
                let encoded = encode(&tokenizer, batch)?;
                tokens += encoded.iter().map(Encoding::len).sum::<usize>();
                drop(encoded);
                took += began.elapsed();
            }
        }
        let seconds = took.as_secs_f64();
        println!(
            "{}",
            json!({"method": method, "bytes": bytes, "tokens": tokens, "seconds": seconds})
        );
    }
    Ok(())
}
