//! Files whose records are documents: JSON lines, packed or not, and parquet tables. One field of a record is its text.
//!
//! They are read as one text whose documents are separated by end-of-text, so all that reads files of text reads them.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::documents::DOCUMENT_END;
use crate::platform::{self, SourceFile};

/// The field that is read unless another is named.
pub(super) const TEXT_FIELD: &str = "text";

/// What a file's name promises.
enum Form {
    JsonLines,
    PackedJsonLines,
    Table,
}

impl Form {
    fn of(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends(&[".jsonl", ".ndjson"]) {
            Some(Self::JsonLines)
        } else if ends(&[".jsonl.zst", ".ndjson.zst"]) {
            Some(Self::PackedJsonLines)
        } else if ends(&[".parquet"]) {
            Some(Self::Table)
        } else {
            None
        }
    }
}

/// Whether a file is read as records: by its name, and where it was only found in a folder, if its first record has such a
/// field. A table in a folder is also when it is damaged, so that whoever reads it says so.
pub(super) fn holds_records(file: &SourceFile, field: &str) -> bool {
    let Some(form) = Form::of(&file.name) else {
        return false;
    };
    let has_one = || open(file, field).and_then(|mut texts| texts.read_exact(&mut [0]));
    !file.in_folder
        || match (form, has_one()) {
            (_, Ok(())) => true,
            (Form::Table, Err(error)) => {
                !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported)
            }
            (_, Err(_)) => false,
        }
}

/// The texts of a file's records.
///
/// # Errors
/// Those of the system; a file that is not what its name promises, a record without the field.
pub(super) fn open(file: &SourceFile, field: &str) -> io::Result<Box<dyn Read>> {
    let field = field.to_owned();
    Ok(match Form::of(&file.name) {
        None => Box::new(file.open()?),
        Some(Form::JsonLines) => Box::new(Joined::new(json_lines(file.open()?, field))),
        Some(Form::PackedJsonLines) => {
            let unpacked = platform::unpack_zstd(file.open()?)?;
            Box::new(Joined::new(json_lines(unpacked, field)))
        }
        Some(Form::Table) => Box::new(Joined::new(platform::table_texts(file, &field)?)),
    })
}

/// The field of every line that isn't blank; a null is no text, and left out.
fn json_lines(reader: impl Read, field: String) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    let lines = BufReader::new(reader).split(b'\n').zip(1_u64..);
    lines.filter_map(move |(line, number)| {
        let text = line.and_then(|line| match line.trim_ascii() {
            b"" => Ok(None),
            line => text_of(line, &field).map_err(|error| {
                let said =
                    format!("line {number}: {error}; `--text-field` names the field to read");
                io::Error::new(ErrorKind::InvalidData, said)
            }),
        });
        text.map(|text| text.map(String::into_bytes)).transpose()
    })
}

fn text_of(line: &[u8], field: &str) -> serde_json::Result<Option<String>> {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let text = Field(field).deserialize(&mut reader)?;
    reader.end()?;
    Ok(text)
}

/// Reads one field of an object and skips the others.
struct Field<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object with the field `{}`", self.0)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.0 {
                found = Some(map.next_value::<Option<String>>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        found.ok_or_else(|| M::Error::custom(format!("no field `{}`", self.0)))
    }
}

/// Texts as one text: each is followed by an end-of-text on a line of its own, which takes the line breaks around it along.
struct Joined<I> {
    texts: I,
    current: Vec<u8>,
    read: usize,
}

impl<I> Joined<I> {
    fn new(texts: I) -> Self {
        Self {
            texts,
            current: Vec::new(),
            read: 0,
        }
    }
}

impl<I: Iterator<Item = io::Result<Vec<u8>>>> Read for Joined<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.current.len() {
            let Some(text) = self.texts.next() else {
                return Ok(0);
            };
            self.current = text?;
            self.current.push(b'\n');
            self.current.extend_from_slice(DOCUMENT_END.as_bytes());
            self.current.push(b'\n');
            self.read = 0;
        }
        let rest = &self.current[self.read..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::documents::Pieces;
    use super::*;

    fn documents(lines: &str) -> io::Result<Vec<String>> {
        let joined = Joined::new(json_lines(lines.as_bytes(), "text".to_owned()));
        let mut found = vec![String::new()];
        for piece in Pieces::new(joined) {
            let piece = piece?;
            found
                .last_mut()
                .unwrap()
                .push_str(&String::from_utf8(piece.bytes).unwrap());
            if piece.last {
                found.push(String::new());
            }
        }
        found.pop();
        Ok(found)
    }

    #[test]
    fn a_record_is_a_document_to_its_last_line_break() {
        let lines = concat!(
            "{\"id\":1,\"text\":\"one\\ntwo\\n\",\"more\":{\"text\":\"inner\"}}\n",
            "\n",
            "{\"text\":null}\r\n",
            "{\"text\":\"\\u00fc \\\"quoted\\\"\",\"url\":[1,2]}\r\n",
            "{\"text\":\"\"}\n",
            "{\"text\":\"last\"}",
        );
        assert_eq!(
            documents(lines).unwrap(),
            ["one\ntwo\n", "ü \"quoted\"", "last"]
        );
        assert!(documents("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_record_names_its_line() {
        for wrong in [
            "{\"body\":\"x\"}",
            "{\"text\":1}",
            "text",
            "{\"text\":\"x\"} y",
            "[\"text\"]",
        ] {
            let error = documents(&format!("{{\"text\":\"x\"}}\n{wrong}\n")).unwrap_err();
            assert!(error.to_string().starts_with("line 2: "), "{error}");
            assert!(error.to_string().contains("`--text-field`"), "{error}");
        }
    }

    #[test]
    fn forms_go_by_names() {
        let is = |name| Form::of(name).is_some();
        assert!(is("a.jsonl") && is("a.NDJSON") && is("b/a.jsonl.zst") && is("a.parquet"));
        assert!(!is("a.json") && !is("a.txt.zst") && !is("jsonl"));
    }
}
