//! Draws a picture in place, a few lines above the cursor.
//!
//! ratatui's own inline viewport asks the terminal where the cursor is: through standard output, which may be a file,
//! and in raw mode. Moving by relative steps needs neither.

use std::io::{self, Write};

use ratatui::backend::IntoCrossterm;
use ratatui::buffer::Buffer;
use ratatui::crossterm::style::ContentStyle;
use ratatui::style::{Color, Style};
use ratatui::text::Span;

const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

/// The picture on the screen. Between calls the cursor stands at the start of the line below it.
pub struct Painter<W: Write> {
    out: W,
    shown: Vec<String>,
    columns: u16,
}

impl<W: Write> Painter<W> {
    /// A painter with nothing on the screen.
    pub fn new(out: W) -> Self {
        Self {
            out,
            shown: Vec::new(),
            columns: 0,
        }
    }

    /// Puts a picture in the last one's place, writing only the lines that changed.
    ///
    /// # Errors
    /// When the terminal takes no more.
    pub fn paint(&mut self, picture: &Buffer) -> io::Result<()> {
        let lines: Vec<String> = (0..picture.area.height)
            .map(|row| line(picture, row))
            .collect();
        let mut text = String::from(BEGIN);
        if lines.len() != self.shown.len() || picture.area.width != self.columns {
            text.push_str(&self.erased());
            for line in &lines {
                text.push_str(line);
                text.push_str("\r\n");
            }
        } else {
            for (index, (new, old)) in lines.iter().zip(&self.shown).enumerate() {
                if new != old {
                    let up = lines.len() - index;
                    // Cleared before it is written: behind a full line, clearing would take its last cell.
                    text.push_str(&format!("\x1b[{up}A\r\x1b[K{new}\r\x1b[{up}B"));
                }
            }
        }
        text.push_str(END);
        self.shown = lines;
        self.columns = picture.area.width;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a line that stays, above the picture.
    ///
    /// # Errors
    /// When the terminal takes no more.
    pub fn above(&mut self, line: &str) -> io::Result<()> {
        let text = format!("{}{line}\r\n", self.erased());
        self.shown.clear();
        self.out.write_all(text.as_bytes())
    }

    fn erased(&self) -> String {
        match self.shown.len() {
            0 => String::new(),
            rows => format!("\x1b[{rows}A\r\x1b[J"),
        }
    }
}

/// A row of the picture with its styles, without the blanks at its end.
fn line(picture: &Buffer, row: u16) -> String {
    let mut runs: Vec<(Style, String)> = Vec::new();
    let mut column = 0;
    while column < picture.area.width {
        let cell = &picture[(column, row)];
        let style = cell.style();
        match runs.last_mut() {
            Some((last, text)) if *last == style => text.push_str(cell.symbol()),
            _ => runs.push((style, cell.symbol().to_owned())),
        }
        // A wide character covers the next cell.
        column += Span::raw(cell.symbol()).width().max(1) as u16;
    }
    if let Some((style, text)) = runs.last_mut()
        && is_plain(*style)
    {
        text.truncate(text.trim_end().len());
    }
    runs.into_iter()
        .map(|(style, text)| {
            if is_plain(style) {
                text
            } else {
                let style: ContentStyle = style.into_crossterm();
                style.apply(text).to_string()
            }
        })
        .collect()
}

fn is_plain(style: Style) -> bool {
    let default = |color: Option<Color>| matches!(color, None | Some(Color::Reset));
    default(style.fg) && default(style.bg) && style.add_modifier.is_empty()
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    fn picture(lines: [&str; 2]) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 2));
        for (row, line) in lines.iter().enumerate() {
            buffer.set_string(0, row as u16, line, Style::default());
        }
        buffer
    }

    #[test]
    fn only_changed_lines_are_written() {
        let mut painter = Painter::new(Vec::new());
        painter.paint(&picture(["one", "two"])).expect("memory");
        painter.paint(&picture(["one", "2"])).expect("memory");
        painter.above("note").expect("memory");
        painter.paint(&picture(["一二", "2"])).expect("memory");
        let written = String::from_utf8(painter.out).expect("text");
        let frames: Vec<&str> = written.split(END).collect();
        assert_eq!(frames[0], format!("{BEGIN}one\r\ntwo\r\n"));
        assert_eq!(frames[1], format!("{BEGIN}\x1b[1A\r\x1b[K2\r\x1b[1B"));
        assert_eq!(
            frames[2],
            format!("\x1b[2A\r\x1b[Jnote\r\n{BEGIN}一二\r\n2\r\n")
        );
    }
}
