//! Brotli and gzip forms of files. Brotli at its best takes a minute for the worker, so it is done once for each content.

use std::fs;
use std::io::Write;
use std::thread;

use anyhow::{Context, Result};
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::wasm;

/// The brotli and gzip forms of each: the best that can be had, or quick ones.
pub fn all(contents: &[&[u8]], best: bool) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    thread::scope(|scope| {
        let forms: Vec<_> = contents
            .iter()
            .map(|content| scope.spawn(move || forms(content, best)))
            .collect();
        let joined = |form: thread::ScopedJoinHandle<'_, _>| {
            form.join()
                .map_err(|_| anyhow::anyhow!("a compressor stopped"))?
        };
        forms.into_iter().map(joined).collect()
    })
}

fn forms(content: &[u8], best: bool) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(content)?;
    Ok((brotli(content, if best { 11 } else { 5 })?, gzip.finish()?))
}

fn brotli(content: &[u8], quality: i32) -> Result<Vec<u8>> {
    let kept = wasm::cache()?.join(format!(
        "{}.{quality}.br",
        hex::encode(Sha256::digest(content))
    ));
    if let Ok(compressed) = fs::read(&kept) {
        return Ok(compressed);
    }
    let parameters = BrotliEncoderParams {
        quality,
        lgwin: 24,
        size_hint: content.len(),
        ..BrotliEncoderParams::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &content[..], &mut compressed, &parameters)
        .context("brotli failed")?;
    fs::write(&kept, &compressed)?;
    Ok(compressed)
}
