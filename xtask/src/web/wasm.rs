//! The programs for the browser: built by cargo, bound to JavaScript by wasm-bindgen, made smaller by binaryen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

use super::compress;
use crate::{command, step, target, tool};

/// What browsers run.
pub const WASM: &str = "wasm32-unknown-unknown";

/// The release of npm's `binaryen` that makes the programs smaller.
const BINARYEN: &str = "binaryen@132.0.0";

/// What the programs may use: every browser with WebGPU or SIMD has all of it.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// A program for the browser.
pub struct Program {
    /// The module that loads it.
    pub script: String,
    /// What that imports: path and content of each.
    pub snippets: Vec<(String, String)>,
    /// The program.
    pub wasm: Vec<u8>,
}

/// Builds both programs. The page computes nothing, so it is built without the backends, whose compilers it would carry.
pub fn build() -> Result<()> {
    for (program, features) in [
        ("crossover-app", &["--no-default-features"][..]),
        ("worker", &[]),
    ] {
        let mut build = command(
            "cargo",
            &["build", "--locked", "-p", "crossover-web", "--bin", program],
        );
        build
            .args(features)
            .args(["--profile", "web", "--target", WASM]);
        step(build)?;
    }
    Ok(())
}

/// The library that the programs were built of.
pub fn library() -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(built()?.join("deps"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hash = name
            .strip_prefix("libcrossover-")
            .and_then(|rest| rest.strip_suffix(".rlib"));
        if hash.is_some() {
            found.push((path.metadata()?.modified()?, path));
        }
    }
    // Earlier builds leave theirs.
    let newest = found.into_iter().max();
    Ok(newest.context("the library is built for browsers")?.1)
}

/// Where cargo puts what it builds for browsers.
pub fn built() -> Result<PathBuf> {
    Ok(target()?.join(WASM).join("web"))
}

/// Where slow results are kept, by what they were made of.
pub fn cache() -> Result<PathBuf> {
    let folder = target()?.join("site");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A built program with its JavaScript. Optimizing takes minutes for each.
pub fn bind(name: &str, optimized: bool) -> Result<Program> {
    let path = built()?.join(format!("{name}.wasm"));
    let bound = cache()?.join(name);
    let mut output = Bindgen::new()
        .input_path(&path)
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()
        .with_context(|| format!("can't bind `{}`", path.display()))?;
    ensure!(
        output.local_modules().is_empty() && output.npm_dependencies().is_empty(),
        "`{name}` brings modules of its own, which the page would not find"
    );
    let mut snippets = Vec::new();
    for (folder, scripts) in output.snippets() {
        for (index, script) in scripts.iter().enumerate() {
            let path = format!("./snippets/{folder}/inline{index}.js");
            snippets.push((path, script.clone()));
        }
    }
    output.emit(&bound)?;
    let wasm = bound.join(format!("{name}_bg.wasm"));
    Ok(Program {
        script: fs::read_to_string(bound.join(format!("{name}.js")))?,
        snippets,
        wasm: if optimized {
            smaller(&wasm)?
        } else {
            fs::read(&wasm)?
        },
    })
}

/// The program after `wasm-opt`, where that can be had and makes less to load.
fn smaller(path: &Path) -> Result<Vec<u8>> {
    let content = fs::read(path)?;
    let Some(optimizer) = optimizer() else {
        eprintln!(
            "    skipping wasm-opt: neither it nor `npm` is here; the programs may be larger than they need be"
        );
        return Ok(content);
    };
    let kept = cache()?.join(format!("{}.wasm", hex::encode(Sha256::digest(&content))));
    if !kept.exists() {
        let partial = kept.with_extension("partial");
        let mut optimize = Command::new(optimizer);
        optimize
            .arg(path)
            .args(["-Os", "-o"])
            .arg(&partial)
            .args(FEATURES);
        step(optimize)?;
        fs::rename(&partial, &kept)?;
    }
    let optimized = fs::read(kept)?;
    // Shorter code is not always shorter when it is packed, and packed is how it is loaded.
    let packed = compress::all(&[&content, &optimized], true)?;
    let is_smaller = packed[1].0.len() < packed[0].0.len();
    Ok(if is_smaller { optimized } else { content })
}

/// The `wasm-opt` of this machine, or else npm's.
fn optimizer() -> Option<PathBuf> {
    let own = PathBuf::from("wasm-opt");
    if Command::new(&own).arg("--version").output().is_ok() {
        return Some(own);
    }
    let installed = tool(BINARYEN).ok()?;
    Some(installed.join("node_modules/.bin/wasm-opt"))
}
