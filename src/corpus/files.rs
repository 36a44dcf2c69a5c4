//! Files and folders: which of them a corpus reads, and what is in them.
//!
//! A [`Survey`] reads every file once and keeps figures only, so that what is wrong is said before any work is done and
//! the documents can be read again, piece by piece, as often as they are needed. Each file is a document, or several,
//! where `<|endoftext|>` separates them or records have them; a document that is the same, byte for byte, as one before it doesn't count.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::documents::{Piece, Pieces};
use super::store::{Nothing, Output, Width, Writer};
use super::text::Texts;
use super::{CorpusConfig, NearDuplicates, Tokenizer, absolute, duplicates, records, shards};
use crate::error::{Error, Result};
use crate::platform::{self, SourceFile};

/// A file in a folder is binary if it has a zero byte among so many first ones.
const BINARY_PROBE: usize = 8 << 10;

/// Bytes of text that are encoded at once, over all threads.
const BATCH_BYTES: usize = 8 << 20;

/// How many names a list for people holds.
const LISTED: usize = 3;

/// The file name extensions of source code, for `corpus code`.
pub const CODE_EXTENSIONS: [&str; 46] = [
    "asm", "c", "cc", "clj", "cpp", "cs", "css", "cu", "cuh", "cxx", "dart", "erl", "ex", "exs",
    "f90", "fs", "go", "h", "hpp", "hs", "html", "java", "jl", "js", "jsx", "kt", "lisp", "lua",
    "m", "ml", "nim", "php", "pl", "proto", "py", "r", "rb", "rs", "scala", "sh", "sql", "swift",
    "ts", "tsx", "wgsl", "zig",
];

/// What the files of a source hold.
#[derive(Debug)]
pub struct Survey<'a> {
    /// Files that are read.
    pub files: usize,
    /// Documents in them, copies not counted.
    pub documents: usize,
    /// Bytes of those documents.
    pub bytes: u64,
    /// Characters of those documents; of what is no UTF-8, the bytes that begin one.
    pub characters: u64,
    /// Documents that are the same as an earlier one, byte for byte.
    pub copies: usize,
    /// Files in folders that hold no text.
    pub binaries: usize,
    /// Files without a byte.
    pub empty: usize,
    /// Files that can't be read as text, or not at all.
    pub unreadable: Vec<Unreadable>,
    /// Files and bytes that are read, by file name extension ("" where there is none).
    pub extensions: BTreeMap<String, (usize, u64)>,
    /// SHA-256 of one file's content; of several, of their hashes in order.
    pub hash: String,
    inputs: Vec<Input<'a>>,
}

/// A file that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file.
    pub name: String,
    /// Why not.
    pub reason: String,
    /// Whether the bytes can be read, and are no text.
    pub no_text: bool,
}

impl Unreadable {
    fn at_all(name: String, reason: String) -> Self {
        Self {
            name,
            reason,
            no_text: false,
        }
    }
}

/// A file that is read, or a text in memory.
#[derive(Debug)]
struct Input<'a> {
    name: String,
    content: Content<'a>,
    /// Which of its documents are copies, ascending.
    copies: Vec<usize>,
    documents: usize,
    /// Bytes of all its documents.
    bytes: u64,
    /// Which of the sources it belongs to.
    source: usize,
}

#[derive(Debug, Clone)]
enum Content<'a> {
    File(SourceFile),
    /// A file of records, and which of their fields is read.
    Records(SourceFile, String),
    Memory(&'a [u8]),
}

impl Content<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::File(file) => Box::new(file.open()?),
            Self::Records(file, field) => records::open(file, field)?,
            Self::Memory(bytes) => Box::new(*bytes),
        })
    }
}

/// How much of a source is tokens by now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Encoded {
    /// Pieces of documents, in order.
    pub pieces: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A file that was looked at.
struct Examined<'a> {
    name: String,
    content: Content<'a>,
    facts: io::Result<Facts>,
    source: usize,
}

/// What one file holds.
struct Facts {
    sha256: [u8; 32],
    file_bytes: u64,
    documents: Vec<DocumentFacts>,
    binary: bool,
    /// What makes it no text.
    flaw: Option<String>,
}

struct DocumentFacts {
    /// Half of a SHA-256.
    digest: u128,
    bytes: u64,
    characters: u64,
}

impl<'a> Survey<'a> {
    /// Reads the files and folders that a configuration names.
    ///
    /// # Errors
    /// When a path doesn't exist, when nothing is left to read, and, unless `skip_unreadable` is set, when a file can't
    /// be read or is no text and the tokenizer needs text.
    pub fn of_files(config: &CorpusConfig) -> Result<Self> {
        let mut seen = HashSet::new();
        let (mut files, mut unreadable) = (Vec::new(), Vec::new());
        for (number, source) in config.source.iter().enumerate() {
            if shards::is_folder_of_shards(source)? {
                return Err(
                    Error::input(format!("`{source}` holds token shards, not text")).with_hint(
                        "to train on shards, give their folder alone; or give the text that they were made of",
                    ),
                );
            }
            let listing = platform::list_files(source, shards::INDEX, &mut seen)?;
            let found = listing.files.len();
            let before = files.len();
            let wanted = |file: &SourceFile| {
                let extension = extension(&file.name);
                let mut asked = config.extensions.iter();
                !file.in_folder
                    || config.extensions.is_empty()
                    || asked.any(|asked| *asked == extension)
            };
            let mut others: BTreeMap<String, usize> = BTreeMap::new();
            for file in listing.files {
                if wanted(&file) {
                    files.push((file, number));
                } else {
                    *others.entry(extension(&file.name)).or_default() += 1;
                }
            }
            if files.len() == before && listing.again == 0 && listing.unreadable.is_empty() {
                return Err(nothing_in(source, found, &config.extensions, &others));
            }
            let lost = listing.unreadable.into_iter();
            unreadable.extend(lost.map(|(name, reason)| Unreadable::at_all(name, reason)));
        }
        // A folder's binaries are nobody's text, unless their extension was asked for.
        let probing = config.extensions.is_empty();
        let field = config.text_field();
        let contents = platform::in_parallel(files, |(file, source)| {
            let (name, in_folder) = (file.name.clone(), file.in_folder);
            let content = match records::holds_records(&file, field) {
                true => Content::Records(file, field.to_owned()),
                false => Content::File(file),
            };
            let probe = probing && in_folder && matches!(content, Content::File(_));
            let facts = examine(&content, probe);
            Examined {
                name,
                content,
                facts,
                source,
            }
        });
        Self::gather(config, contents, unreadable)
    }

    /// Reads a text that is in memory.
    ///
    /// # Errors
    /// When it holds nothing, or no text and the tokenizer needs text.
    pub(super) fn of_text(config: &CorpusConfig, text: &'a [u8]) -> Result<Self> {
        let content = Content::Memory(text);
        let facts = examine(&content, false);
        let name = config.source.join("`, `");
        let only = Examined {
            name,
            content,
            facts,
            source: 0,
        };
        Self::gather(config, vec![only], Vec::new())
    }

    fn gather(
        config: &CorpusConfig,
        contents: Vec<Examined<'a>>,
        mut unreadable: Vec<Unreadable>,
    ) -> Result<Self> {
        let alone = contents.len() == 1 && unreadable.is_empty();
        let needs_text = needs_text(config.tokenizer_name());
        let mut survey = Survey {
            files: 0,
            documents: 0,
            bytes: 0,
            characters: 0,
            copies: 0,
            binaries: 0,
            empty: 0,
            unreadable: Vec::new(),
            extensions: BTreeMap::new(),
            hash: String::new(),
            inputs: Vec::new(),
        };
        let mut seen = HashSet::new();
        let mut hashes = Vec::new();
        for examined in contents {
            let Examined {
                name,
                content,
                facts,
                source,
            } = examined;
            let facts = match facts {
                Ok(Facts { binary: true, .. }) => {
                    survey.binaries += 1;
                    continue;
                }
                Ok(Facts {
                    flaw: Some(flaw), ..
                }) if needs_text => {
                    unreadable.push(Unreadable {
                        name,
                        reason: flaw,
                        no_text: true,
                    });
                    continue;
                }
                Err(error) => {
                    unreadable.push(Unreadable::at_all(name, error.to_string()));
                    continue;
                }
                Ok(facts) => facts,
            };
            if facts.file_bytes == 0 {
                survey.empty += 1;
                continue;
            }
            survey.files += 1;
            let extension = survey.extensions.entry(extension(&name)).or_default();
            *extension = (extension.0 + 1, extension.1 + facts.file_bytes);
            hashes.push(facts.sha256);
            let mut copies = Vec::new();
            for (number, document) in facts.documents.iter().enumerate() {
                if seen.insert(document.digest) {
                    survey.documents += 1;
                    survey.bytes += document.bytes;
                    survey.characters += document.characters;
                } else {
                    copies.push(number);
                }
            }
            survey.copies += copies.len();
            survey.inputs.push(Input {
                name,
                content,
                copies,
                documents: facts.documents.len(),
                bytes: facts.documents.iter().map(|document| document.bytes).sum(),
                source,
            });
        }
        if !unreadable.is_empty() && !config.skip_unreadable {
            return Err(refused(&unreadable, alone));
        }
        survey.unreadable = unreadable;
        if survey.documents == 0 {
            return Err(survey.is_empty(config));
        }
        survey.hash = match &hashes[..] {
            [only] => hex::encode(only),
            several => hex::encode(Sha256::digest(several.concat())),
        };
        Ok(survey)
    }

    fn is_empty(&self, config: &CorpusConfig) -> Error {
        let names = config.source.join("`, `");
        let error = match (self.binaries, self.unreadable.len()) {
            (0, 0) => Error::input(format!("`{names}` is empty")),
            (binaries, unreadable) => Error::input(format!(
                "nothing in `{names}` can be read: {binaries} binary files, {unreadable} that can't be read as text"
            )),
        };
        error.with_hint("give a file that holds text")
    }

    /// What a person should know of files that were not read, and of documents that don't count.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if !self.unreadable.is_empty() {
            let names: Vec<String> = self
                .unreadable
                .iter()
                .map(|file| format!("`{}` ({})", file.name, file.reason))
                .collect();
            notices.push(format!(
                "skipped {} that can't be read: {}",
                count(self.unreadable.len(), "file"),
                listed(&names)
            ));
        }
        if self.binaries > 0 {
            notices.push(format!(
                "left out {}; `--extensions` reads them anyway",
                count(self.binaries, "binary file")
            ));
        }
        if self.copies > 0 {
            notices.push(format!(
                "dropped {}, the same to the byte as an earlier one",
                count(self.copies, "document")
            ));
        }
        notices
    }

    /// The bytes of every document that counts, in order, long ones in pieces: [`Tokenizer::encode_one_piece`] makes
    /// them ids.
    pub fn texts(&self) -> impl Iterator<Item = Result<Vec<u8>>> {
        self.pieces().map(|piece| Ok(piece?.bytes))
    }

    /// Every piece of every document that counts, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Result<Piece>> {
        self.inputs.iter().flat_map(|input| input.pieces())
    }

    /// The name of each document that counts, in order: its file, with its number where the file has several.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.inputs.iter().flat_map(|input| {
            (0..input.documents)
                .filter(|number| input.copies.binary_search(number).is_err())
                .map(|number| match input.documents {
                    1 => input.name.clone(),
                    _ => format!("{}, document {}", input.name, number + 1),
                })
        })
    }

    /// Makes the tokenizer of this name, with a vocabulary for these documents.
    ///
    /// # Errors
    /// Those of [`Tokenizer::for_documents`], and of reading.
    pub fn tokenizer(&self, name: &str) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::for_documents(name, self.texts())?;
        Ok(match self.documents {
            1 => tokenizer,
            _ => tokenizer.with_end_of_text(),
        })
    }

    /// How many tokens the documents have with the tokenizer of this name, their ends counted.
    ///
    /// # Errors
    /// Those of [`Survey::tokenizer`].
    pub fn tokens(&self, tokenizer: &str) -> Result<u64> {
        let ends = match self.documents {
            documents @ (1 | 2) => documents - 1,
            documents => documents,
        };
        match tokenizer {
            "byte" => Ok(self.bytes + ends as u64),
            "char" => Ok(self.characters + ends as u64),
            _ => {
                let tokenizer = self.tokenizer(tokenizer)?;
                let width = Width::of(tokenizer.vocab_size());
                let mut counter = Writer::new(Nothing, width, usize::MAX);
                self.encode(&tokenizer, &mut counter, Encoded::default(), |_, _| Ok(()))?;
                Ok(counter.len as u64)
            }
        }
    }

    /// Looks for near-duplicates among the documents, each judged by its first 4 MiB.
    ///
    /// # Errors
    /// Those of reading.
    pub fn near_duplicates(&self) -> Result<NearDuplicates> {
        let mut pieces = self.pieces();
        let documents = std::iter::from_fn(|| {
            let mut text = Vec::new();
            loop {
                let piece = match pieces.next()? {
                    Ok(piece) => piece,
                    Err(error) => return Some(Err(error)),
                };
                if text.len() < duplicates::MOST_BYTES {
                    text.extend_from_slice(&piece.bytes);
                }
                if piece.last {
                    return Some(Ok(String::from_utf8_lossy(&text).into_owned()));
                }
            }
        });
        let name = |number| self.names().nth(number).unwrap_or_default();
        NearDuplicates::among(documents, name)
    }

    /// The tokens in memory.
    pub(super) fn tokenize(self, config: &CorpusConfig) -> Result<Texts> {
        let tokenizer = self.tokenizer(config.tokenizer_name())?;
        let mut writer = Writer::in_memory(tokenizer.vocab_size());
        self.encode(&tokenizer, &mut writer, Encoded::default(), |_, _| Ok(()))?;
        Ok(Texts {
            tokenizer,
            tokenizer_name: full_name(config.tokenizer_name()),
            store: writer.finish()?,
            in_memory: true,
            notices: self.notices(),
            hash: self.hash,
        })
    }

    /// The tokens of each source in memory, by one tokenizer. A document that an earlier source has is not in a later one.
    ///
    /// # Errors
    /// When a source holds nothing of its own.
    pub(super) fn tokenize_each(mut self, config: &CorpusConfig) -> Result<Vec<Texts>> {
        let tokenizer = self.tokenizer(config.tokenizer_name())?;
        let inputs = std::mem::take(&mut self.inputs);
        let mut sources: Vec<Vec<Input<'a>>> = config.source.iter().map(|_| Vec::new()).collect();
        for input in inputs {
            sources[input.source].push(input);
        }
        let mut texts = Vec::new();
        let mut notices = self.notices();
        for (inputs, name) in sources.into_iter().zip(&config.source) {
            let count = |input: &Input<'_>| input.documents - input.copies.len();
            let documents = inputs.iter().map(count).sum();
            if documents == 0 {
                return Err(Error::input(format!(
                    "`{name}` holds nothing that the sources before it don't hold"
                ))
                .with_hint("leave it out of the mixture"));
            }
            let own = Self {
                documents,
                inputs,
                extensions: BTreeMap::new(),
                unreadable: Vec::new(),
                hash: self.hash.clone(),
                ..self
            };
            let mut writer = Writer::in_memory(tokenizer.vocab_size());
            own.encode(&tokenizer, &mut writer, Encoded::default(), |_, _| Ok(()))?;
            texts.push(Texts {
                tokenizer: tokenizer.clone(),
                tokenizer_name: full_name(config.tokenizer_name()),
                store: writer.finish()?,
                in_memory: true,
                // They are of all sources, and told once.
                notices: std::mem::take(&mut notices),
                hash: own.hash,
            });
        }
        Ok(texts)
    }

    /// Writes the tokens of every document that counts. Two are separated by end-of-text, three or more all end with
    /// it, and one stands alone. The pieces that are `before` were written earlier, to the same writer.
    ///
    /// After each batch, `done` hears how far it is.
    pub(super) fn encode<O: Output>(
        &self,
        tokenizer: &Tokenizer,
        writer: &mut Writer<O>,
        before: Encoded,
        mut done: impl FnMut(Encoded, &mut Writer<O>) -> Result<()>,
    ) -> Result<()> {
        let end_of_text: Vec<u32> = tokenizer.end_of_text().into_iter().collect();
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut encoded_so_far = before;
        let mut pieces = self.pieces();
        for _ in 0..before.pieces {
            pieces.next().transpose()?;
        }
        loop {
            let piece = pieces.next().transpose()?;
            let at_end = piece.is_none();
            if let Some(piece) = piece {
                bytes += piece.bytes.len();
                batch.push(piece);
            }
            if bytes < BATCH_BYTES && !at_end {
                continue;
            }
            encoded_so_far.pieces += batch.len() as u64;
            encoded_so_far.bytes += std::mem::take(&mut bytes) as u64;
            let encoded = platform::in_parallel(std::mem::take(&mut batch), |piece: Piece| {
                let ids = tokenizer.encode_one_piece(&piece.bytes);
                ids.map(|ids| (ids, piece.last))
            });
            for piece in encoded {
                let (ids, last) = piece?;
                writer.push(&ids)?;
                if last {
                    let ends = self.documents > 2 || self.documents == 2 && writer.documents == 0;
                    if ends {
                        writer.push(&end_of_text)?;
                    }
                    writer.end_document()?;
                }
            }
            done(encoded_so_far, writer)?;
            if at_end {
                return Ok(());
            }
        }
    }
}

impl Input<'_> {
    fn pieces(&self) -> Box<dyn Iterator<Item = Result<Piece>> + '_> {
        let failed = |error: io::Error| {
            Error::input(format!("can't read `{}`", self.name))
                .with_source(error)
                .with_hint("it could be read a moment ago: leave files alone while they are read")
        };
        let reader = match self.content.open() {
            Ok(reader) => reader,
            Err(error) => return Box::new(std::iter::once(Err(failed(error)))),
        };
        let (mut begun, mut bytes) = (0, 0);
        let pieces = Pieces::new(reader).map(move |piece| {
            let piece = piece.map_err(failed)?;
            begun += usize::from(piece.first);
            bytes += piece.bytes.len() as u64;
            if bytes > self.bytes || begun > self.documents {
                return Err(changed(&self.name));
            }
            Ok((begun - 1, piece))
        });
        Box::new(pieces.filter_map(|piece| match piece {
            Ok((number, piece)) => match self.copies.binary_search(&number) {
                Ok(_) => None,
                Err(_) => Some(Ok(piece)),
            },
            Err(error) => Some(Err(error)),
        }))
    }
}

fn changed(name: &str) -> Error {
    Error::input(format!("`{name}` grew while it was read"))
        .with_hint("leave files alone while they are read")
}

/// Reads a file for its facts. With `probe`, a binary one only as far as that takes.
fn examine(content: &Content<'_>, probe: bool) -> io::Result<Facts> {
    let mut facts = Facts {
        sha256: [0; 32],
        file_bytes: 0,
        documents: Vec::new(),
        binary: false,
        flaw: None,
    };
    let mut reader = Hashing {
        reader: content.open()?,
        sha256: Sha256::new(),
        bytes: 0,
    };
    let mut begin = Vec::new();
    if probe {
        (&mut reader)
            .take(BINARY_PROBE as u64)
            .read_to_end(&mut begin)?;
        if begin.contains(&0) {
            facts.binary = true;
            return Ok(facts);
        }
    }
    let mut document = Sha256::new();
    let mut sizes = (0, 0);
    // Bytes of markers are in no piece, so a flaw's place is looked for in the document's own bytes.
    for piece in Pieces::new(begin.as_slice().chain(&mut reader)) {
        let piece = piece?;
        if facts.flaw.is_none() {
            facts.flaw = flaw(&piece.bytes, sizes.0, facts.documents.len());
        }
        document.update(&piece.bytes);
        let begins_one = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
        sizes.0 += piece.bytes.len() as u64;
        sizes.1 += piece.bytes.iter().filter(begins_one).count() as u64;
        if piece.last {
            let digest: [u8; 32] = document.finalize_reset().into();
            let (half, _) = digest.as_chunks();
            facts.documents.push(DocumentFacts {
                digest: u128::from_le_bytes(half[0]),
                bytes: sizes.0,
                characters: sizes.1,
            });
            sizes = (0, 0);
        }
    }
    facts.file_bytes = reader.bytes;
    facts.sha256 = reader.sha256.finalize().into();
    Ok(facts)
}

/// Why these bytes of a document are no text; `before` bytes and so many documents lie in front of them.
fn flaw(bytes: &[u8], before: u64, documents: usize) -> Option<String> {
    let place = |offset: usize| match documents {
        0 => format!("byte {}", before + offset as u64),
        earlier => format!(
            "byte {} of document {}",
            before + offset as u64,
            earlier + 1
        ),
    };
    if let Some(offset) = bytes.iter().position(|&byte| byte == 0) {
        return Some(format!("this is a binary file: {} is zero", place(offset)));
    }
    let offset = std::str::from_utf8(bytes).err()?.valid_up_to();
    Some(format!(
        "this is no UTF-8 text: {} (0x{:02X}) belongs to no character",
        place(offset),
        bytes[offset]
    ))
}

/// Hashes what is read through it.
struct Hashing<R> {
    reader: R,
    sha256: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// A tokenizer's name as another working directory would have to say it.
pub(super) fn full_name(tokenizer: &str) -> String {
    match tokenizer.ends_with(".json") {
        true => absolute(tokenizer),
        false => tokenizer.to_owned(),
    }
}

/// Whether a tokenizer reads characters, not any bytes.
fn needs_text(tokenizer: &str) -> bool {
    tokenizer == "char"
}

/// A file's extension as filters write it: in lower case, without the dot.
fn extension(name: &str) -> String {
    Path::new(name)
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}

fn nothing_in(
    folder: &str,
    found: usize,
    wanted: &[String],
    others: &BTreeMap<String, usize>,
) -> Error {
    if found == 0 {
        return Error::input(format!("the folder `{folder}` holds no file to read")).with_hint(
            "hidden files, links, runs, and what a `.gitignore` in it names are left out; name a file itself to read it",
        );
    }
    let mut seen: Vec<(&String, &usize)> = others.iter().collect();
    seen.sort_by_key(|(name, files)| (std::cmp::Reverse(**files), *name));
    let seen: Vec<String> = seen
        .iter()
        .map(|(name, files)| match name.as_str() {
            "" => format!("{files} without an extension"),
            name => format!("`{name}` ({files})"),
        })
        .collect();
    Error::input(format!(
        "no file in `{folder}` has the extension `{}`",
        wanted.join("` or `")
    ))
    .with_hint(format!("it has {}", listed(&seen)))
}

fn refused(unreadable: &[Unreadable], alone: bool) -> Error {
    let Unreadable {
        name,
        reason,
        no_text,
    } = &unreadable[0];
    let more = match unreadable.len() - 1 {
        0 => String::new(),
        more => format!(" (and {})", count(more, "more file")),
    };
    let error = Error::input(match no_text {
        true => format!("`{name}`: {reason}{more}"),
        false => format!("can't read `{name}`: {reason}{more}"),
    });
    error.with_hint(match (no_text, alone) {
        (true, true) => "use `--tokenizer byte` or `--tokenizer bpe:N`, which take any bytes",
        (true, false) => {
            "`--skip-unreadable` leaves such files out; `--tokenizer byte` and `bpe:N` take any bytes"
        }
        (false, true) => "check that it is what its name says, and that you may read it",
        (false, false) => "`--skip-unreadable` leaves such files out",
    })
}

/// `1 file`, `2 files`.
fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// The first few, and how many more.
fn listed(items: &[String]) -> String {
    let shown = items[..items.len().min(LISTED)].join(", ");
    match items.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
