//! The playground as a folder of files: `cargo xtask web` writes `dist/`, which any host can serve, from any path.
//!
//! Every name but those of `index.html`, `sw.js` and the manifest holds a hash of the content, so that what a browser
//! keeps can't be out of date. Beside each file lie its brotli and gzip forms, for hosts that send those.

pub mod bundle;
mod compress;
mod page;
pub mod wasm;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};

use crate::root;

/// The most that the first visit may load as code, brotli, in bytes.
const CODE_LIMIT: usize = 4_500_000;
/// The most that the bundled models and trace may take, brotli, in bytes.
const BUNDLED_LIMIT: usize = 1_500_000;
/// The most that the first page may take as it is, in bytes.
const PAGE_LIMIT: usize = 20_000;

/// What a file counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What runs.
    Code,
    /// Models and the recorded trace.
    Bundled,
    /// Icons and the manifest.
    Rest,
}

/// A file of the site.
struct File {
    name: String,
    part: Part,
    content: Vec<u8>,
}

/// Builds the site and says how large it is. An optimized one must be no larger than promised.
pub fn run(optimized: bool) -> Result<()> {
    wasm::build()?;
    assemble(optimized)
}

/// Makes the site of what [`wasm::build`] has built.
pub fn assemble(optimized: bool) -> Result<()> {
    let sources = root().join("web");
    let (app, worker) = thread::scope(|scope| {
        let app = scope.spawn(|| wasm::bind("crossover-app", optimized));
        let worker = wasm::bind("worker", optimized);
        (app.join(), worker)
    });
    let app = app.map_err(|_| anyhow!("wasm-bindgen stopped"))??;
    let worker = worker?;
    let mut site = Site::default();

    let app_wasm = site.hashed("app.wasm", Part::Code, app.wasm.clone());
    let app_script = site.script("app.js", &app)?;
    let worker_wasm = site.hashed("worker.wasm", Part::Code, worker.wasm.clone());
    let worker_script = site.script("worker.js", &worker)?;
    let start = fs::read_to_string(sources.join("src/worker/start.js"))
        .context("the worker's first lines, `web/src/worker/start.js`")?;
    let start = replaced(
        &start,
        &[
            ("./worker.js", &format!("./{worker_script}")),
            ("./worker_bg.wasm", &format!("./{worker_wasm}")),
            (
                "const SIZE = 0;",
                &format!("const SIZE = {};", worker.wasm.len()),
            ),
        ],
    )?;
    let start = site.hashed("start.js", Part::Code, start.into_bytes());
    let page_script = fs::read(sources.join("static/page.js"))?;
    let page_script = site.hashed("page.js", Part::Code, page_script);

    let bundled = site.bundled(&sources.join("bundled"))?;
    let icons = ["icon.svg", "icon-192.png", "icon-512.png"];
    for name in icons {
        let content = fs::read(sources.join("static").join(name))?;
        site.add(name, Part::Rest, content);
    }
    let manifest = fs::read(sources.join("static/manifest.webmanifest"))?;
    site.add("manifest.webmanifest", Part::Rest, manifest);

    let files = serde_json::json!({
        "app": app_script,
        "wasm": app_wasm,
        "bytes": app.wasm.len(),
        "page": page_script,
        "start": start,
        "bundled": bundled,
    });
    let page = page::index(&sources, &files)?;
    if page.len() > PAGE_LIMIT {
        bail!(
            "the first page has {} bytes, more than {PAGE_LIMIT}",
            page.len()
        );
    }
    site.add("index.html", Part::Code, page.into_bytes());
    let worker = site.service_worker(&fs::read_to_string(sources.join("static/sw.js"))?)?;
    site.add("sw.js", Part::Code, worker.into_bytes());
    site.write(&root().join("dist"), optimized)
}

/// The text with each of these, which must be there, put in place of the other.
fn replaced(text: &str, changes: &[(&str, &str)]) -> Result<String> {
    let mut text = text.to_owned();
    for (from, to) in changes {
        if !text.contains(from) {
            bail!("nothing to replace: `{from}` is not there");
        }
        text = text.replace(from, to);
    }
    Ok(text)
}

/// The beginning of a content's SHA-256, as names have it.
fn hash(content: &[u8]) -> String {
    let mut hash = hex::encode(Sha256::digest(content));
    hash.truncate(10);
    hash
}

/// The files so far.
#[derive(Default)]
struct Site {
    files: Vec<File>,
}

impl Site {
    fn add(&mut self, name: &str, part: Part, content: Vec<u8>) {
        self.files.push(File {
            name: name.to_owned(),
            part,
            content,
        });
    }

    /// Adds a file under a name that holds its hash, and tells that name.
    fn hashed(&mut self, name: &str, part: Part, content: Vec<u8>) -> String {
        let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
        let name = format!("{stem}-{}.{kind}", hash(&content));
        self.add(&name, part, content);
        name
    }

    /// Adds what loads a program, and what that imports in turn.
    fn script(&mut self, name: &str, program: &wasm::Program) -> Result<String> {
        let mut script = program.script.clone();
        for (path, content) in &program.snippets {
            let imported = self.hashed("snippet.js", Part::Code, content.clone().into_bytes());
            script = replaced(&script, &[(path, &format!("./{imported}"))])?;
        }
        Ok(self.hashed(name, Part::Code, script.into_bytes()))
    }

    /// Adds the models and the trace, in a folder whose name holds the hash of all, and tells that folder.
    fn bundled(&mut self, folder: &Path) -> Result<String> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).context("the bundled models, `web/bundled`")? {
            let path = entry?.path();
            let shipped = path.extension().is_some_and(|kind| kind != "md");
            if path.is_file() && shipped {
                paths.push(path);
            }
        }
        paths.sort();
        let mut all = Vec::new();
        let mut files = Vec::new();
        for path in paths {
            let name = path.file_name().context("a file has a name")?;
            let content = fs::read(&path)?;
            all.extend_from_slice(hash(&content).as_bytes());
            files.push((name.to_string_lossy().into_owned(), content));
        }
        let folder = format!("bundled-{}/", hash(&all));
        for (name, content) in files {
            self.add(&format!("{folder}{name}"), Part::Bundled, content);
        }
        Ok(folder)
    }

    /// The service worker, which keeps everything that is here so far.
    fn service_worker(&self, source: &str) -> Result<String> {
        let mut all = String::new();
        for file in &self.files {
            all += &format!("{} {}\n", file.name, hash(&file.content));
        }
        let names: Vec<&str> = self
            .files
            .iter()
            .map(|file| match file.name.as_str() {
                "index.html" => "./",
                name => name,
            })
            .collect();
        replaced(
            source,
            &[
                ("{{version}}", &hash(all.as_bytes())),
                ("[/* files */]", &serde_json::to_string(&names)?),
            ],
        )
    }

    /// Writes everything in place of what was there, and says how large it is.
    fn write(&self, folder: &Path, optimized: bool) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let contents: Vec<&[u8]> = self
            .files
            .iter()
            .map(|file| file.content.as_slice())
            .collect();
        let compressed = compress::all(&contents, optimized)?;
        let mut lines = Vec::new();
        let mut sums = [0; 2];
        for (file, (brotli, gzip)) in self.files.iter().zip(compressed) {
            let path = folder.join(&file.name);
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            fs::write(&path, &file.content)?;
            let mut sent = file.content.len();
            for (form, content) in [("gz", gzip), ("br", brotli)] {
                // A form that isn't smaller only takes a browser's time.
                if content.len() < file.content.len() {
                    sent = content.len();
                    fs::write(beside(&path, form), content)?;
                }
            }
            match file.part {
                Part::Code => sums[0] += sent,
                Part::Bundled => sums[1] += sent,
                Part::Rest => {}
            }
            lines.push((file.name.as_str(), file.content.len(), sent));
        }
        eprintln!("    {:<36} {:>12} {:>12}", "file", "bytes", "brotli");
        for (name, raw, sent) in lines {
            eprintln!("    {name:<36} {raw:>12} {sent:>12}");
        }
        for (what, sum, limit) in [
            ("code", sums[0], CODE_LIMIT),
            ("bundled", sums[1], BUNDLED_LIMIT),
        ] {
            eprintln!("    {what:<36} {sum:>25} of at most {limit}");
            if optimized && sum > limit {
                bail!("too much to load: {sum} bytes of {what}, at most {limit}");
            }
        }
        eprintln!("    {}", folder.display());
        Ok(())
    }
}

/// The path of a compressed form.
fn beside(path: &Path, form: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(form);
    PathBuf::from(name)
}
