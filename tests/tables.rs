//! Parquet tables as corpora: the text of one column, in little memory, and nothing where a table is damaged.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crossover::corpus::{Corpus, CorpusConfig, DOCUMENT_END, Survey, write_shards};
use crossover::error::{Error, Kind};
use crossover::platform::{self, SourceFile};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A column of numbers, two of texts that say the same, and one of lists.
const SCHEMA: &str = "message table {
    REQUIRED INT64 id;
    OPTIONAL BYTE_ARRAY text (UTF8);
    OPTIONAL BYTE_ARRAY body;
    OPTIONAL group tags (LIST) { REPEATED group list { OPTIONAL BYTE_ARRAY element (UTF8); } }
}";

/// The ways that writers pack pages.
fn forms() -> [WriterProperties; 4] {
    let with = |packed, version, dictionary| {
        WriterProperties::builder()
            .set_compression(packed)
            .set_writer_version(version)
            .set_dictionary_enabled(dictionary)
            .build()
    };
    let (first, second) = (WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0);
    [
        with(Compression::SNAPPY, first, true),
        with(Compression::ZSTD(ZstdLevel::default()), second, false),
        with(Compression::GZIP(GzipLevel::default()), second, true),
        with(Compression::UNCOMPRESSED, first, false),
    ]
}

/// Writes a table of two groups of rows.
fn table(path: &Path, properties: WriterProperties, texts: &[Option<&str>]) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    for rows in texts.chunks(texts.len().div_ceil(2)) {
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<i64> = (0..rows.len() as i64).collect();
        let levels: Vec<i16> = rows.iter().map(|text| i16::from(text.is_some())).collect();
        let there: Vec<ByteArray> = rows.iter().flatten().map(|text| (*text).into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<Int64Type>();
        typed.write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        for _ in 0..2 {
            let mut column = group.next_column().unwrap().unwrap();
            let typed = column.typed::<ByteArrayType>();
            typed.write_batch(&there, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        let mut column = group.next_column().unwrap().unwrap();
        let none = vec![0; rows.len()];
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&[], Some(&none), Some(&none)).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn texts(count: usize) -> Vec<String> {
    let text = |number| {
        let lines = (0..9).map(|line| format!("Line {line} of {number}, and grün.\n"));
        lines.collect()
    };
    (0..count).map(text).collect()
}

/// The texts with a null among them.
fn rows(texts: &[String]) -> Vec<Option<&str>> {
    let mut rows: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
    rows.insert(texts.len() / 3, None);
    rows
}

fn config(path: &Path, field: Option<&str>) -> CorpusConfig {
    CorpusConfig {
        source: vec![path.display().to_string()],
        text_field: field.map(str::to_owned),
        length: Some(16),
        ..CorpusConfig::default()
    }
}

fn source(path: &Path) -> SourceFile {
    let listing = platform::list_files(&path.display().to_string(), "", &mut HashSet::new());
    listing.unwrap().files.remove(0)
}

fn read(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    platform::table_texts(&source(path), "text")?.collect()
}

#[track_caller]
fn refused(result: Result<impl Sized, Error>) -> String {
    let error = result.err().expect("it is refused");
    assert_eq!(error.kind(), Kind::Input);
    error.to_string()
}

#[test]
fn a_table_is_the_text_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let texts = texts(150);
    let plain = texts.iter().map(|text| format!("{text}\n{DOCUMENT_END}\n"));
    fs::write(path("plain.txt"), plain.collect::<String>()).unwrap();
    let expected = Corpus::load(&config(&path("plain.txt"), None), 5).unwrap();
    assert_eq!(expected.documents, Some(150));
    for (number, form) in forms().into_iter().enumerate() {
        let name = path(&format!("{number}.parquet"));
        table(&name, form, &rows(&texts));
        for field in [None, Some("body")] {
            let found = Corpus::load(&config(&name, field), 5).unwrap();
            assert_eq!(found.config.hash, expected.config.hash, "{number}");
            assert_eq!(found.train.tokens, expected.train.tokens, "{number}");
            assert_eq!(found.test.tokens, expected.test.tokens, "{number}");
        }
    }

    let shards = path("shards").display().to_string();
    let text = config(&path("0.parquet"), Some("body"));
    let index = write_shards(&text, &shards, 5_000, |_, _| {}).unwrap();
    assert_eq!(index.documents, 150);
    let found = Corpus::load(&config(Path::new(&shards), None), 5).unwrap();
    assert_eq!(found.train.tokens, expected.train.tokens);
}

#[test]
fn a_column_that_is_no_text_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let [form, ..] = forms();
    table(&path, form, &rows(&texts(3)));
    let said = refused(Survey::of_files(&config(&path, Some("article"))));
    assert!(
        said.contains("a.parquet`: no column `article`, but `id`, `text`, `body`, `tags`"),
        "{said}"
    );
    assert!(said.contains("`--text-field`"), "{said}");
    for column in ["id", "tags"] {
        let said = refused(Survey::of_files(&config(&path, Some(column))));
        assert!(
            said.contains(&format!("column `{column}` is no text")),
            "{said}"
        );
    }
}

#[test]
fn of_a_folder_the_tables_with_such_a_column_are_read_and_damaged_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mixed");
    fs::create_dir(&place).unwrap();
    let [form, other, ..] = forms();
    table(&place.join("a.parquet"), form, &rows(&texts(30)));
    table(&place.join("none.parquet"), other, &[None, None]);
    fs::write(place.join("notes.txt"), "A text.\n").unwrap();
    let found = |field| {
        let survey = Survey::of_files(&config(&place, field)).unwrap();
        (survey.documents, survey.binaries, survey.empty)
    };
    assert_eq!(found(None), (31, 0, 1));
    assert_eq!(found(Some("article")), (1, 2, 0));

    let whole = fs::read(place.join("a.parquet")).unwrap();
    for bytes in [&whole[..whole.len() / 2], b"PAR1", b"no table"] {
        fs::write(place.join("cut.parquet"), bytes).unwrap();
        let said = refused(Survey::of_files(&config(&place, None)));
        assert!(said.contains("cut.parquet"), "{said}");
        let skipping = CorpusConfig {
            skip_unreadable: true,
            ..config(&place, None)
        };
        let survey = Survey::of_files(&skipping).unwrap();
        assert_eq!((survey.documents, survey.unreadable.len()), (31, 1));
    }
}

#[test]
fn a_table_with_any_wrong_byte_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for (number, form) in forms().into_iter().enumerate() {
        table(&path, form, &rows(&texts(4)));
        let whole = fs::read(&path).unwrap();
        assert_eq!(read(&path).unwrap().len(), 4, "{number}");
        let mut errors = 0;
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << (place % 8);
            fs::write(&path, damaged).unwrap();
            errors += usize::from(read(&path).is_err());
            fs::write(&path, &whole[..place]).unwrap();
            assert!(read(&path).is_err(), "{number}, cut at {place}");
        }
        // Much of its footer and of its pages' headers; another letter of a text that isn't packed is a text too.
        assert!(errors > 200, "{number}: {errors} of {}", whole.len());
    }
}

#[test]
fn a_large_table_takes_little_memory() {
    const ROWS: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.parquet");
    let schema = "message table { REQUIRED BYTE_ARRAY text (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let [_, form, ..] = forms();
    let file = File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(form)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    for row in 0..ROWS {
        let text = [ByteArray::from(
            format!("A line of row {row}.\n").repeat(100_000).as_str(),
        )];
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&text, None, None).unwrap();
    }
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();

    let before = platform::peak_memory_bytes().unwrap();
    let mut bytes = 0;
    for text in platform::table_texts(&source(&path), "text").unwrap() {
        bytes += text.unwrap().len();
    }
    assert!(bytes > 100_000_000, "{bytes}");
    let more = platform::peak_memory_bytes().unwrap() - before;
    assert!(more < bytes as u64 / 4, "{more}");
}
