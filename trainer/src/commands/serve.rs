//! `serve`: the built playground, on loopback only.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::UNIX_EPOCH;

use anyhow::Result;
use crossover::error::Error;
use serde::Serialize;
use tiny_http::{Header, Method, Request, Response, Server};

use crate::arguments::ServeArguments;
use crate::commands::{print_json, print_text};

/// Requests answered at once. A page asks for a handful.
const THREADS: usize = 4;

/// Hexadecimal digits of a content's hash in a name: what `cargo xtask web` writes.
const HASH_DIGITS: usize = 10;

#[derive(Serialize)]
struct Serving {
    event: &'static str,
    url: String,
    folder: String,
}

/// Serves until it is interrupted.
pub fn run(arguments: &ServeArguments) -> Result<()> {
    let folder = site(&arguments.folder)?;
    let server = Server::http(("127.0.0.1", arguments.port)).map_err(|error| {
        Error::work(format!("can't listen on port {}", arguments.port))
            .with_source(error)
            .with_hint("another program may: give another `--port`, or 0 for any free one")
    })?;
    let url = format!("http://{}/", server.server_addr());
    if arguments.common.json {
        print_json(&Serving {
            event: "serving",
            url,
            folder: folder.display().to_string(),
        })?;
    } else {
        print_text(&format!("{url}\n"))?;
        eprintln!(
            "Serving {} to this machine only; Ctrl+C stops",
            folder.display()
        );
    }
    let server = Arc::new(server);
    let folder = Arc::new(folder);
    let workers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (server, folder) = (Arc::clone(&server), Arc::clone(&folder));
            thread::spawn(move || {
                for request in server.incoming_requests() {
                    answer(&folder, request);
                }
            })
        })
        .collect();
    for worker in workers {
        worker
            .join()
            .map_err(|_| Error::work("a request could not be answered"))?;
    }
    Ok(())
}

/// The folder, with every link in its path resolved.
fn site(folder: &Path) -> Result<PathBuf, Error> {
    let hint = "`cargo xtask web` builds the playground";
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(Error::input(format!("there is no folder `{shown}`")).with_hint(hint));
    }
    if !folder.join("index.html").is_file() {
        return Err(Error::input(format!("`{shown}` has no `index.html`")).with_hint(hint));
    }
    folder
        .canonicalize()
        .map_err(|error| Error::input(format!("can't read `{shown}`")).with_source(error))
}

/// What a request is answered with.
enum Answer {
    /// A file, in this form of it.
    File(Sent),
    /// It hasn't changed since the browser got it.
    Unchanged(String),
    /// A folder's address lacks its last `/`.
    Moved(String),
    Missing,
    NotAllowed,
}

struct Sent {
    file: File,
    length: usize,
    kind: &'static str,
    encoding: Option<&'static str>,
    cache: &'static str,
    tag: String,
}

fn answer(folder: &Path, request: Request) {
    let answer = find(folder, &request);
    // A reader that went away has no use for an answer.
    let _ = match answer {
        Answer::File(sent) => {
            let mut headers = vec![
                header("Content-Type", sent.kind),
                header("Cache-Control", sent.cache),
                header("ETag", &sent.tag),
                header("Vary", "Accept-Encoding"),
                header("X-Content-Type-Options", "nosniff"),
            ];
            headers.extend(
                sent.encoding
                    .map(|encoding| header("Content-Encoding", encoding)),
            );
            let headers = headers.into_iter().flatten().collect();
            request.respond(
                Response::new(200.into(), headers, sent.file, Some(sent.length), None)
                    .with_chunked_threshold(usize::MAX),
            )
        }
        Answer::Unchanged(tag) => {
            let headers = [header("ETag", &tag), header("Vary", "Accept-Encoding")];
            let headers = headers.into_iter().flatten().collect();
            request.respond(Response::new(
                304.into(),
                headers,
                std::io::empty(),
                None,
                None,
            ))
        }
        Answer::Moved(to) => {
            let headers = header("Location", &to).into_iter().collect();
            request.respond(Response::new(
                301.into(),
                headers,
                std::io::empty(),
                Some(0),
                None,
            ))
        }
        Answer::Missing => {
            request.respond(Response::from_string("Not found\n").with_status_code(404))
        }
        Answer::NotAllowed => {
            let response = Response::from_string("Only GET and HEAD\n").with_status_code(405);
            request.respond(match header("Allow", "GET, HEAD") {
                Some(allow) => response.with_header(allow),
                None => response,
            })
        }
    };
}

/// A header, unless the value can't be one.
fn header(name: &str, value: &str) -> Option<Header> {
    Header::from_bytes(name, value).ok()
}

fn find(folder: &Path, request: &Request) -> Answer {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Answer::NotAllowed;
    }
    let (address, _query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    let Some(path) = inside(folder, address) else {
        return Answer::Missing;
    };
    if path.is_dir() {
        if !address.ends_with('/') {
            return Answer::Moved(format!("{address}/"));
        }
        return send(&path.join("index.html"), request);
    }
    send(&path, request)
}

/// The path that an address names, if it is in the folder.
fn inside(folder: &Path, address: &str) -> Option<PathBuf> {
    let relative = decoded(address.strip_prefix('/')?)?;
    // Another system's separators, and what files here are never called.
    if relative.contains(['\\', '\0', ':']) {
        return None;
    }
    let mut path = folder.to_owned();
    for component in Path::new(&relative).components() {
        match component {
            Component::Normal(name) if !name.to_string_lossy().starts_with('.') => path.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    // A link may lead elsewhere.
    let resolved = path.canonicalize().ok()?;
    resolved.starts_with(folder).then_some(resolved)
}

/// The text of an address, `%20` and the like written out.
fn decoded(address: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(address.len());
    let mut rest = address.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn send(path: &Path, request: &Request) -> Answer {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut forms = Vec::new();
    for (encoding, ending) in [("br", "br"), ("gzip", "gz")] {
        if accepts(request, encoding) {
            forms.push((
                Some(encoding),
                path.with_file_name(format!("{name}.{ending}")),
            ));
        }
    }
    forms.push((None, path.to_owned()));
    let opened = forms.into_iter().find_map(|(encoding, path)| {
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((encoding, file, metadata))
    });
    let Some((encoding, file, metadata)) = opened else {
        return Answer::Missing;
    };
    let changed = metadata.modified().ok();
    let changed = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
    let tag = format!(
        "\"{:x}-{:x}{}\"",
        changed.map_or(0, |since| since.as_nanos()),
        metadata.len(),
        encoding.unwrap_or_default()
    );
    let known = request.headers().iter().any(|header| {
        header.field.equiv("If-None-Match")
            && header
                .value
                .as_str()
                .split(',')
                .any(|known| known.trim() == tag)
    });
    if known {
        return Answer::Unchanged(tag);
    }
    let Ok(length) = usize::try_from(metadata.len()) else {
        return Answer::Missing;
    };
    let for_ever = path.iter().any(|part| is_hashed(&part.to_string_lossy()));
    Answer::File(Sent {
        file,
        length,
        kind: kind(&name),
        encoding,
        cache: if for_ever {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        },
        tag,
    })
}

/// Whether the browser takes this encoding.
fn accepts(request: &Request, encoding: &str) -> bool {
    let mut headers = request.headers().iter();
    headers.any(|header| {
        header.field.equiv("Accept-Encoding")
            && header.value.as_str().split(',').any(|offer| {
                let (name, quality) = offer.split_once(';').unwrap_or((offer, ""));
                let refused = ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains(&quality.trim());
                name.trim().eq_ignore_ascii_case(encoding) && !refused
            })
    })
}

/// Whether a name holds a hash of the content, so that the content under it never changes.
fn is_hashed(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    stem.rsplit_once('-').is_some_and(|(_, hash)| {
        hash.len() == HASH_DIGITS && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// What a file is, by its name. Browsers run a program only as `application/wasm`, and a module only as JavaScript.
fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" => "application/json",
        "jsonl" | "txt" | "md" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        assert!(is_hashed("app-0123456789.wasm"));
        assert!(is_hashed("bundled-89abcdef01"));
        for name in [
            "index.html",
            "icon-192.png",
            "sw.js",
            "app-0123.wasm",
            "app-012345678x.js",
        ] {
            assert!(!is_hashed(name), "{name}");
        }
    }

    #[test]
    fn addresses_are_decoded_once() {
        assert_eq!(decoded("a%20b").as_deref(), Some("a b"));
        assert_eq!(decoded("%252e").as_deref(), Some("%2e"));
        assert_eq!(decoded("%C3%BC").as_deref(), Some("ü"));
        for broken in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
