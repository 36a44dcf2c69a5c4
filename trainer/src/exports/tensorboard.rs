//! TensorBoard's event files: a run's figures under the names of `metrics.jsonl`, in a folder for each model, so that
//! TensorBoard draws the models of a race in one chart.
//!
//! A file is a sequence of records: the length, its checksum, the bytes, their checksum
//! (`tensorflow/core/lib/io/record_writer.h`). A record's bytes are an `Event` (`tensorflow/core/util/event.proto`), of
//! which only what scalars need is here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crossover::error::{Error, Result};
use crossover::lab::Event;
use crossover::train::Metrics;
use protobuf::CodedOutputStream;

use super::{figures, task_figures};

/// The folder in a run directory.
const FOLDER: &str = "tensorboard";

/// What a file's first record says.
const VERSION: &str = "brain.Event:2";

/// `SessionLog.START`: what was recorded for this step and later ones is void.
const START: i32 = 1;

/// What a record says beside its step.
enum Content {
    /// Of which form the file is.
    Version,
    /// A sitting begins.
    Start,
    /// Figures by their names.
    Figures(Vec<(String, f64)>),
}

impl Content {
    /// The bytes of an `Event`; numbers are those of the fields in `event.proto` and `summary.proto`.
    fn at(&self, step: i64) -> protobuf::Result<Vec<u8>> {
        message(|event| {
            event.write_double(1, now().as_secs_f64())?;
            event.write_int64(2, step)?;
            match self {
                Self::Version => event.write_string(3, VERSION),
                Self::Start => event.write_bytes(7, &message(|log| log.write_int32(1, START))?),
                Self::Figures(figures) => {
                    let summary = message(|summary| {
                        for (name, value) in figures {
                            let value = message(|scalar| {
                                scalar.write_string(1, name)?;
                                scalar.write_float(2, *value as f32)
                            })?;
                            summary.write_bytes(1, &value)?;
                        }
                        Ok(())
                    })?;
                    event.write_bytes(5, &summary)
                }
            }
        })
    }
}

/// The bytes of what is written; a message in a field has the form of bytes.
fn message(
    write: impl FnOnce(&mut CodedOutputStream<'_>) -> protobuf::Result<()>,
) -> protobuf::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut stream = CodedOutputStream::vec(&mut bytes);
    write(&mut stream)?;
    stream.flush()?;
    drop(stream);
    Ok(bytes)
}

/// The files of the run that is under way.
#[derive(Debug, Default)]
pub struct TensorBoard {
    folder: PathBuf,
    /// When the run began or went on: files of several sittings lie side by side.
    began: u64,
    /// By model and likelihood.
    files: BTreeMap<String, BufWriter<File>>,
}

impl TensorBoard {
    /// Takes the next event.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn on_event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Started(started) => {
                self.folder = Path::new(&started.folder).join(FOLDER);
                self.began = now().as_secs();
                self.files.clear();
                Ok(())
            }
            Event::Metrics(metrics) => self.add(metrics).map_err(|error| {
                Error::work(format!("can't write in `{}`", self.folder.display()))
                    .with_source(error)
            }),
            _ => Ok(()),
        }
    }

    fn add(&mut self, metrics: &Metrics) -> io::Result<()> {
        let (objective, likelihood) = (metrics.objective.name(), metrics.likelihood.name());
        let name = match objective == likelihood {
            true => objective.to_owned(),
            false => format!("{objective}-{likelihood}"),
        };
        let step = i64::try_from(metrics.step).unwrap_or(i64::MAX);
        let file = match self.files.remove(&name) {
            Some(file) => file,
            None => begin(&self.folder.join(&name), self.began, step)?,
        };
        let file = self.files.entry(name).or_insert(file);
        let values = figures(metrics).into_iter();
        let scores = task_figures(metrics).into_iter();
        let content = Content::Figures(
            values
                .filter(|(name, _)| name != "step")
                .chain(scores.map(|(task, name, value)| (format!("{task}/{name}"), value)))
                .collect(),
        );
        write(file, &content.at(step)?)?;
        // Somebody may watch, and a step is far longer than this.
        file.flush()
    }
}

/// Begins a file whose first figures are those of `step`.
fn begin(folder: &Path, began: u64, step: i64) -> io::Result<BufWriter<File>> {
    fs::create_dir_all(folder)?;
    let name = format!(
        "events.out.tfevents.{began}.crossover.{}",
        std::process::id()
    );
    let mut file = BufWriter::new(File::create(folder.join(name))?);
    write(&mut file, &Content::Version.at(0)?)?;
    write(&mut file, &Content::Start.at(step)?)?;
    Ok(file)
}

fn write(file: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = (bytes.len() as u64).to_le_bytes();
    file.write_all(&length)?;
    file.write_all(&checksum(&length).to_le_bytes())?;
    file.write_all(bytes)?;
    file.write_all(&checksum(bytes).to_le_bytes())
}

/// CRC-32C, turned and shifted so that a checksum of bytes that hold one is no trivial number
/// (`tensorflow/core/lib/hash/crc32c.h`).
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn now() -> std::time::Duration {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossover::objective::Objective;
    use crossover_report::fixtures::{line, score};
    use protobuf::CodedInputStream;

    /// A message's fields: numbers as they are, everything longer as bytes.
    #[derive(Debug, Clone, PartialEq)]
    enum Value {
        Integer(i64),
        Number(f64),
        Bytes(Vec<u8>),
    }

    fn fields(bytes: &[u8]) -> Vec<(u32, Value)> {
        let mut stream = CodedInputStream::from_bytes(bytes);
        let mut found = Vec::new();
        while let Some(tag) = stream.read_raw_tag_or_eof().expect("a tag") {
            let value = match tag & 7 {
                0 => Value::Integer(stream.read_int64().expect("an integer")),
                1 => Value::Number(stream.read_double().expect("a double")),
                5 => Value::Number(stream.read_float().expect("a float").into()),
                _ => Value::Bytes(stream.read_bytes().expect("bytes")),
            };
            found.push((tag >> 3, value));
        }
        found
    }

    fn field(bytes: &[u8], number: u32) -> Option<Value> {
        let mut found = fields(bytes).into_iter().filter(|(at, _)| *at == number);
        found.next().map(|(_, value)| value)
    }

    /// The records of a file; every checksum is checked.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let (length_sum, rest) = rest.split_at(4);
            assert_eq!(length_sum, checksum(length).to_le_bytes());
            let length = u64::from_le_bytes(length.try_into().expect("8 bytes"));
            let (record, rest) = rest.split_at(length as usize);
            let (record_sum, rest) = rest.split_at(4);
            assert_eq!(record_sum, checksum(record).to_le_bytes());
            found.push(record.to_vec());
            bytes = rest;
        }
        found
    }

    /// A figure of a record, by its name.
    fn figure(record: &[u8], name: &str) -> Option<Value> {
        let Some(Value::Bytes(summary)) = field(record, 5) else {
            panic!("no figures");
        };
        let mut scalars = fields(&summary)
            .into_iter()
            .filter_map(|(_, value)| match value {
                Value::Bytes(scalar) => Some(scalar),
                _ => None,
            });
        let name = Some(Value::Bytes(name.as_bytes().to_vec()));
        let scalar = scalars.find(|scalar| field(scalar, 1) == name)?;
        field(&scalar, 2)
    }

    /// CRC-32C's check value, and the masked one of it by hand.
    #[test]
    fn checksums_are_tensorflow_s() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(checksum(b"123456789"), 0xc78a_b0e5);
    }

    #[test]
    fn a_file_holds_the_figures_of_metrics_jsonl() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut board = TensorBoard {
            folder: folder.path().to_owned(),
            ..TensorBoard::default()
        };
        for step in 7..9 {
            for objective in [Objective::Autoregressive, Objective::Masked] {
                let mut line = line(objective, step, (step == 8).then_some(0.5));
                line.tasks
                    .extend((step == 8).then(|| score("tales", 0.75, 0.04)));
                board.add(&line).expect("writable");
            }
        }
        for name in ["ar", "masked"] {
            let mut files = fs::read_dir(folder.path().join(name)).expect("a folder");
            let path = files.next().expect("a file").expect("readable").path();
            let found = records(&fs::read(path).expect("readable"));
            let version = Value::Bytes(VERSION.as_bytes().to_vec());
            assert_eq!(field(&found[0], 3), Some(version));
            assert_eq!(field(&found[1], 7), Some(Value::Bytes(vec![8, 1])));
            let steps: Vec<_> = found[1..].iter().map(|record| field(record, 2)).collect();
            assert_eq!(steps, [7, 7, 8].map(|step| Some(Value::Integer(step))));
            assert_eq!(figure(&found[2], "train_nats"), Some(Value::Number(1.0)));
            assert_eq!(figure(&found[2], "val_nats"), None);
            assert_eq!(figure(&found[3], "val_nats"), Some(Value::Number(0.5)));
            assert!(figure(&found[3], "tokens_per_second").is_some());
            assert_eq!(figure(&found[3], "step"), None);
            assert_eq!(figure(&found[2], "tales/acc"), None);
            assert_eq!(figure(&found[3], "tales/acc"), Some(Value::Number(0.75)));
        }
    }
}
