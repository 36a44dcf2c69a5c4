//! Parquet tables, one column of them; natively only.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use parquet::basic::{ConvertedType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::ByteArrayType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::SourceFile;

/// The texts of one column of a table, row by row; nulls are left out.
///
/// # Errors
/// [`ErrorKind::NotFound`] when the table has no such column of texts, [`ErrorKind::InvalidData`] when the file is no table
/// or damaged.
pub fn table_texts(
    file: &SourceFile,
    column: &str,
) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + use<>> {
    let file = file.open()?;
    let table = whole(|| SerializedFileReader::new(file).map_err(damaged))?;
    let column = column_of_texts(&table, column)?;
    Ok(Texts {
        table,
        column,
        groups: 0,
        rows: None,
        rows_left: 0,
        ended: false,
    })
}

/// The number of the column of this name, among all that have values.
fn column_of_texts(table: &SerializedFileReader<File>, name: &str) -> io::Result<usize> {
    let schema = table.metadata().file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields().iter();
    let names: Vec<&str> = fields.map(|field| field.name()).collect();
    let missing = |what: String| {
        let said = format!("{what}; `--text-field` names the column to read");
        Err(io::Error::new(ErrorKind::NotFound, said))
    };
    if !names.contains(&name) {
        return missing(format!("no column `{name}`, but `{}`", names.join("`, `")));
    }
    let mut columns = schema.columns().iter();
    let found = columns.position(|column| {
        let text = matches!(
            column.converted_type(),
            ConvertedType::NONE | ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON
        );
        let is_alone = column.max_rep_level() == 0 && column.path().parts() == [name];
        is_alone && text && column.physical_type() == Type::BYTE_ARRAY
    });
    found.map_or_else(|| missing(format!("column `{name}` is no text")), Ok)
}

struct Texts {
    table: SerializedFileReader<File>,
    column: usize,
    /// Groups of rows that are begun.
    groups: usize,
    /// What is left of the group that was begun last.
    rows: Option<ColumnReaderImpl<ByteArrayType>>,
    rows_left: usize,
    ended: bool,
}

impl Texts {
    /// The next text. Rows are read one at a time: each keeps the page that it lies in.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            while let Some(rows) = &mut self.rows
                && self.rows_left > 0
            {
                let (mut levels, mut texts) = (Vec::new(), Vec::new());
                let read = rows.read_records(1, Some(&mut levels), None, &mut texts);
                if read.map_err(damaged)?.0 == 0 {
                    return Err(io::Error::new(
                        ErrorKind::InvalidData,
                        format!("group {} has fewer rows than the table says", self.groups),
                    ));
                }
                self.rows_left -= 1;
                if let Some(text) = texts.pop() {
                    return Ok(Some(text.data().to_vec()));
                }
            }
            if self.groups == self.table.num_row_groups() {
                return Ok(None);
            }
            let group = self.table.get_row_group(self.groups).map_err(damaged)?;
            let rows = usize::try_from(group.metadata().num_rows());
            self.rows_left = rows.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            self.rows = match group.get_column_reader(self.column).map_err(damaged)? {
                ColumnReader::ByteArrayColumnReader(rows) => Some(rows),
                _ => None,
            };
            self.groups += 1;
        }
    }
}

impl Iterator for Texts {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let text = whole(|| self.read());
        self.ended = !matches!(text, Ok(Some(_)));
        text.transpose()
    }
}

thread_local! {
    /// Whether this thread is reading a table.
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// Reads a part of a table. The library counts on some of the lengths that a file states, and panics where they are wrong: that
/// is told as an error, and not on standard error before it.
fn whole<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if !READS.get() {
                told(panicked);
            }
        }));
    });
    READS.set(true);
    let found = catch_unwind(AssertUnwindSafe(read));
    READS.set(false);
    found.unwrap_or_else(|_| {
        let said = "lengths in it contradict each other";
        Err(io::Error::new(ErrorKind::InvalidData, said))
    })
}

fn damaged(error: ParquetError) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
