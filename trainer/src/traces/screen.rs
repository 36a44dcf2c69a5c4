//! What the player shows, drawn into a buffer: one state as text or square, or all of them as a heat map.
//!
//! Colours never carry a meaning alone: masked cells have a texture, new ones are underlined or reversed, and without
//! colours bold and dim tell sure from unsure.

use std::ops::Range;

use crossover_report::numbers::counted;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout as Split, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::colours::{self, band};
use super::film::{Film, Look, Measure, visible};
use super::layout::{Layout, fitted, width};
use super::player::{Player, View};
use crate::terminal::Palette;

/// A position where nothing is written; one where something was until now.
const MASKED: &str = "░";
const REMASKED: &str = "▒";
/// Rising certainty without colours.
const SHADES: [&str; 5] = ["░", "░", "▒", "▓", "█"];
/// Columns left of the heat map, for step numbers and a mark on the present one.
const MARGIN: u16 = 7;
/// Columns that a position takes in the heat map, at most.
const WIDEST: usize = 3;

/// Draws the player; says which row of the text is on top.
pub fn render(
    film: &Film,
    player: &Player,
    palette: Palette,
    area: Rect,
    buffer: &mut Buffer,
) -> usize {
    // The picture keeps most of a low terminal.
    let help = u16::from(area.height >= 6);
    let legend = u16::from(area.height >= 8);
    let gap = u16::from(area.height >= 12);
    let [title, slider, _, body, _, legend, help] = Split::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(gap),
        Constraint::Min(1),
        Constraint::Length(gap),
        Constraint::Length(legend),
        Constraint::Length(help),
    ])
    .areas(area);
    title_line(film).render(title, buffer);
    slider_line(film, player, palette, slider, buffer);
    let (first_row, rows) = match player.view {
        View::Text => text(film, player, palette, body, buffer),
        View::HeatMap => {
            heat_map(film, player, palette, body, buffer);
            (0, 0)
        }
    };
    legend_line(film, player, palette).render(legend, buffer);
    let mut keys = "space play  ←→ step  h heat map  e entropy  +- speed  q quit".to_owned();
    if rows > usize::from(body.height) {
        let last = (first_row + usize::from(body.height)).min(rows);
        keys = format!("↑↓ rows {}-{last} of {rows}  {keys}", first_row + 1);
    }
    Line::styled(keys, Style::new().fg(palette.faint())).render(help, buffer);
    first_row
}

fn title_line(film: &Film) -> Line<'static> {
    Line::from(vec![
        Span::styled(
            visible(&film.name),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        Span::raw(format!("  {}", visible(&film.title()))),
    ])
}

/// Where the player is: the step, a bar, the time left, and how fast it goes.
fn slider_line(film: &Film, player: &Player, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let sign = if player.playing { "▶" } else { "‖" };
    let (state, last) = (player.state, player.last);
    let left = format!(
        "{sign} step {state:>width$}/{last}",
        width = last.to_string().len()
    );
    let mut right = format!(
        "t {:.3}{}  {}/s",
        film.time(state),
        film.divergence(state),
        player.speed()
    );
    // Where the player is goes before how fast it goes.
    if usize::from(area.width) < width(&left) + 2 + width(&right) {
        right.clear();
    }
    let [left_area, bar, right_area] = Split::horizontal([
        Constraint::Length(width(&left) as u16),
        Constraint::Min(0),
        Constraint::Length(width(&right) as u16),
    ])
    .spacing(2)
    .areas(area);
    Line::from(left).render(left_area, buffer);
    Line::from(right).render(right_area, buffer);
    let Some(room) = usize::from(bar.width).checked_sub(1) else {
        return;
    };
    let done = room * state / last.max(1);
    Line::from(vec![
        Span::styled("━".repeat(done), Style::new().add_modifier(Modifier::BOLD)),
        Span::styled("●", Style::new().add_modifier(Modifier::BOLD)),
        Span::styled("┄".repeat(room - done), Style::new().fg(palette.faint())),
    ])
    .render(bar, buffer);
}

/// The state as text or square; gives the row on top, and how many there are.
fn text(
    film: &Film,
    player: &Player,
    palette: Palette,
    area: Rect,
    buffer: &mut Buffer,
) -> (usize, usize) {
    let layout = Layout::new(film, usize::from(area.width));
    let (rows, height) = (layout.rows.len(), usize::from(area.height));
    let first = match player.scrolled {
        Some(row) => row,
        None => followed(film, player.state, &layout.rows, height),
    }
    .min(rows.saturating_sub(height));
    for (down, row) in layout.rows[first..].iter().take(height).enumerate() {
        let y = area.y + down as u16;
        let mut x = area.x;
        for position in row.clone() {
            let room = area.right().saturating_sub(x);
            let columns = layout.widths[position];
            let (shown, style) = cell(film, player, palette, position, columns);
            buffer.set_stringn(x, y, shown, usize::from(room), style);
            x = x.saturating_add(columns as u16);
        }
    }
    let below = area.y as usize + rows + 1;
    if let Some((broken_rows, broken_columns)) = film.clashes(player.state)
        && below < usize::from(area.bottom())
    {
        let note = match (broken_rows, broken_columns) {
            (0, 0) => "✓ no number twice in a row or column".to_owned(),
            _ => format!(
                "✗ a number twice in {} and {}",
                counted(broken_rows, "row"),
                counted(broken_columns, "column")
            ),
        };
        buffer.set_stringn(
            area.x,
            below as u16,
            note,
            usize::from(area.width),
            Style::new(),
        );
    }
    (first, rows)
}

/// The row to begin with so that what changed last is seen.
fn followed(film: &Film, state: usize, rows: &[Range<usize>], height: usize) -> usize {
    let is_new = |position| matches!(film.look(state, position), Look::Fresh | Look::Remasked);
    let changed = rows.iter().position(|row| row.clone().any(is_new));
    match changed {
        Some(row) if state < film.last() => row.saturating_sub(height / 2),
        _ => 0,
    }
}

/// What a position shows, and how.
fn cell(
    film: &Film,
    player: &Player,
    palette: Palette,
    position: usize,
    columns: usize,
) -> (String, Style) {
    let look = film.look(player.state, position);
    let certainty = film.certainty(player.state, position, player.measure);
    let style = look_style(look, certainty, palette);
    let fill = |texture: &str| match film.side {
        Some(_) => format!(" {texture} "),
        None => texture.repeat(columns),
    };
    match look {
        Look::Masked => (fill(MASKED), style),
        Look::Remasked => (fill(REMASKED), style),
        Look::Given | Look::Fresh | Look::Written => {
            let token = film.tokens(player.state)[position];
            let text = visible(&film.spelling(token));
            let text = match film.side {
                Some(_) => format!("{text:>2}"),
                None => text,
            };
            (fitted(&text, columns), style)
        }
    }
}

/// How a cell looks: what happened to it by modifiers, how sure the model was by colours, or by modifiers too.
fn look_style(look: Look, certainty: Option<f32>, palette: Palette) -> Style {
    let plain = Style::new();
    let sure = match certainty {
        Some(certainty) if palette.is_coloured() => {
            let (ground, ink) = colours::TERMINAL[band(certainty)];
            plain.bg(Color::Indexed(ground)).fg(Color::Indexed(ink))
        }
        Some(certainty) => match band(certainty) {
            0 | 1 => plain.add_modifier(Modifier::DIM),
            2 | 3 => plain,
            _ => plain.add_modifier(Modifier::BOLD),
        },
        None => plain,
    };
    match look {
        Look::Given => plain.add_modifier(Modifier::ITALIC | Modifier::UNDERLINED),
        Look::Masked if certainty.is_none() => plain.fg(palette.faint()),
        Look::Masked | Look::Written => sure,
        Look::Remasked => sure.add_modifier(Modifier::REVERSED),
        Look::Fresh if palette.is_coloured() => {
            sure.add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
        }
        Look::Fresh => sure.add_modifier(Modifier::REVERSED),
    }
}

/// All positions across, all steps down; several in a cell where there is no room.
fn heat_map(film: &Film, player: &Player, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let (steps, length) = (film.last(), film.length());
    let height = usize::from(area.height.saturating_sub(1));
    let columns = usize::from(area.width.saturating_sub(MARGIN));
    if steps == 0 || height == 0 || columns == 0 {
        return;
    }
    let (rows, cells) = (steps.min(height), length.min(columns));
    let wide = (columns / length).clamp(1, WIDEST);
    for row in 0..rows {
        let y = area.y + row as u16;
        // The last step of the row is drawn: what the state was when the row ended.
        let passed = row * steps / rows;
        let state = (row + 1) * steps / rows;
        let is_here = (passed + 1..=state).contains(&player.state);
        let mark = if is_here { "▶" } else { " " };
        buffer.set_string(area.x, y, format!("{mark}{state:>5}"), Style::new());
        for cell in 0..cells {
            let positions = cell * length / cells..(cell + 1) * length / cells;
            let (shown, style) = heat(film, player.measure, state, positions, palette);
            let x = area.x + MARGIN + (cell * wide) as u16;
            buffer.set_string(x, y, shown.repeat(wide), style);
        }
    }
    let last = (length - 1).to_string();
    let room = (cells * wide).saturating_sub(1);
    let axis = format!("0{last:>room$}");
    let y = area.y + rows as u16;
    let style = Style::new().fg(palette.faint());
    buffer.set_string(area.x, y, fitted("step", usize::from(MARGIN)), style);
    buffer.set_stringn(area.x + MARGIN, y, axis, columns, style);
}

/// The mean certainty of some positions; a dot where nothing is known of any.
fn heat(
    film: &Film,
    measure: Measure,
    state: usize,
    positions: Range<usize>,
    palette: Palette,
) -> (&'static str, Style) {
    let count = positions.len();
    let known: Vec<f32> = positions
        .filter_map(|position| film.certainty(state, position, measure))
        .collect();
    if known.is_empty() {
        return ("·", Style::new().fg(palette.faint()));
    }
    let certainty = known.iter().sum::<f32>() / count as f32;
    let band = band(certainty);
    if palette.is_coloured() {
        let ground = Color::Indexed(colours::TERMINAL[band].0);
        (" ", Style::new().bg(ground))
    } else {
        (SHADES[band], Style::new())
    }
}

/// What the looks and colours mean.
fn legend_line(film: &Film, player: &Player, palette: Palette) -> Line<'static> {
    let mut spans = Vec::new();
    let look = |look| look_style(look, None, palette);
    match player.view {
        View::Text => {
            spans.push(Span::styled(MASKED, look(Look::Masked)));
            spans.push(Span::raw(" masked  "));
            spans.push(Span::styled(REMASKED, look(Look::Remasked)));
            spans.push(Span::raw(" hidden again  "));
            spans.push(Span::styled("new", look(Look::Fresh)));
            spans.push(Span::raw("  "));
            spans.push(Span::styled("given", look(Look::Given)));
            spans.push(Span::raw("  "));
        }
        View::HeatMap => spans.push(Span::raw("· masked  ")),
    }
    let (low, high) = match player.measure {
        Measure::Confidence => ("confidence 0 ".to_owned(), " 1"),
        Measure::Entropy => (
            format!("entropy {:.2} ", film.greatest_entropy()),
            " 0 nats",
        ),
    };
    spans.push(Span::raw(low));
    let styled = |certainty| look_style(Look::Written, Some(certainty), palette);
    match player.view {
        _ if palette.is_coloured() => {
            spans.extend((0..5_u8).map(|step| Span::styled("  ", styled(f32::from(step) / 4.0))));
        }
        View::HeatMap => spans.push(Span::raw(SHADES.concat())),
        View::Text => spans.extend([
            Span::styled("dim", styled(0.0)),
            Span::styled(" plain ", styled(0.5)),
            Span::styled("bold", styled(1.0)),
        ]),
    }
    spans.push(Span::raw(high));
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyCode;

    use super::super::film::tests::{square, story};
    use super::*;

    /// The symbols of a drawing without colours.
    fn drawn(film: &Film, keys: &[KeyCode], columns: u16, rows: u16) -> String {
        lines(&buffer(film, keys, Palette::new(false), columns, rows))
    }

    fn buffer(film: &Film, keys: &[KeyCode], palette: Palette, columns: u16, rows: u16) -> Buffer {
        let mut player = Player::new(film.last());
        for key in keys {
            player.press((*key).into(), 0);
        }
        let area = Rect::new(0, 0, columns, rows);
        let mut buffer = Buffer::empty(area);
        render(film, &player, palette, area, &mut buffer);
        buffer
    }

    fn lines(buffer: &Buffer) -> String {
        let area = buffer.area;
        let rows = (0..area.height).map(|y| {
            let row: String = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
            row.trim_end().to_owned() + "\n"
        });
        rows.collect()
    }

    #[test]
    fn a_state_is_shown_as_text() {
        let keys = [KeyCode::Right, KeyCode::Right];
        insta::assert_snapshot!(drawn(&story(), &keys, 80, 12), @"
        story.jsonl  masked, remdm, 33 positions, 6 model calls
        ‖ step 2/6  ━━━━━━━━━━━━━━━━━●┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  t 0.667  8/s

        O▒c░ u░░░ a░░░░░⏎
        ░░░░e ░░░ ░░░ox░





        ░ masked  ▒ hidden again  new  given  confidence 0 dim plain bold 1
        space play  ←→ step  h heat map  e entropy  +- speed  q quit
        ");
    }

    #[test]
    fn a_square_is_shown_as_a_square() {
        let keys = [KeyCode::Right, KeyCode::Char('e')];
        insta::assert_snapshot!(drawn(&square(), &keys, 70, 14), @"
        square.jsonl  masked, low-confidence, 9 positions, 3 model calls
        ‖ step 1/3  ━━━━━━━━━━━━━━●┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  t 0.667  8/s

         1  2  ░
         ░  3  ░
         ░  ░  2

        ✓ no number twice in a row or column




        ░ masked  ▒ hidden again  new  given  entropy 0.75 dim plain bold 0 na
        space play  ←→ step  h heat map  e entropy  +- speed  q quit
        ");
    }

    #[test]
    fn the_heat_map_shows_every_step() {
        let keys = [KeyCode::Char('h'), KeyCode::Right, KeyCode::Right];
        insta::assert_snapshot!(drawn(&story(), &keys, 80, 13), @"
        story.jsonl  masked, remdm, 33 positions, 6 model calls
        ‖ step 2/6  ━━━━━━━━━━━━━━━━━●┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  t 0.667  8/s

             1 ██░░······░░······▒▒············░░··········░░··············░░····
        ▶    2 ██··░░··░░░░······▒▒░░··········░░········░░░░······░░······░░▒▒··
             3 ██··░░▓▓░░░░▓▓····▒▒░░▓▓··▒▒····░░░░······░░░░······░░▓▓····░░▒▒··
             4 ██▒▒░░▓▓░░░░▓▓▒▒▓▓▒▒░░▓▓··▒▒░░··░░░░······░░░░▒▒····░░▓▓····░░▒▒··
             5 ██▒▒░░▓▓░░░░▓▓▒▒▓▓▒▒░░▓▓▒▒▒▒░░▓▓░░░░░░▒▒··░░░░▒▒██··░░▓▓▒▒··░░▒▒··
             6 ██▒▒░░▓▓░░░░▓▓▒▒▓▓▒▒░░▓▓▒▒▒▒░░▓▓░░░░░░▒▒▓▓░░░░▒▒██▒▒░░▓▓▒▒██░░▒▒▒▒
        step   0                                                               32

        · masked  confidence 0 ░░▒▓█ 1
        space play  ←→ step  h heat map  e entropy  +- speed  q quit
        ");
        // More positions and steps than room: several in a cell.
        insta::assert_snapshot!(drawn(&story(), &keys, 22, 8), @"
        story.jsonl  masked, r
        ‖ step 2/6  ━━●┄┄┄┄┄
        ▶    2 ▒░░·░··░·░░·░·░
             4 ▓▒░▓▒░▒░░░░·▒·░
             6 ▓▒░▓▒▒▒▒░▒░▓▒▓░
        step   0            32
        · masked  confidence 0
        space play  ←→ step  h
        ");
    }

    #[test]
    fn looks_differ_without_colours_and_with_them() {
        for coloured in [false, true] {
            let keys = [KeyCode::Right, KeyCode::Right];
            let buffer = buffer(&story(), &keys, Palette::new(coloured), 80, 12);
            let seen = |x: u16| {
                let cell = &buffer[(x, 3)];
                (cell.symbol() == MASKED, cell.style())
            };
            // Given, hidden again, new, masked, and written before.
            let looks = [0, 1, 2, 3, 5].map(seen);
            for (index, look) in looks.iter().enumerate() {
                assert!(!looks[..index].contains(look), "{coloured} {index}");
            }
            let has_colour = buffer
                .content()
                .iter()
                .any(|cell| matches!(cell.fg, Color::Indexed(_)) || cell.bg != Color::Reset);
            assert_eq!(has_colour, coloured);
        }
    }

    #[test]
    fn every_size_can_be_drawn() {
        let keys = [KeyCode::End, KeyCode::Char('h')];
        for (columns, rows) in [(1, 1), (5, 3), (8, 2), (20, 6), (79, 24), (300, 60)] {
            for film in [story(), square()] {
                drawn(&film, &[], columns, rows);
                drawn(&film, &keys, columns, rows);
            }
        }
    }

    #[test]
    fn a_long_text_follows_what_changes_and_can_be_scrolled() {
        let film = story();
        let shown = drawn(&film, &[KeyCode::Right], 14, 6);
        assert!(shown.contains("↑↓ rows 1-3 o"), "{shown}");
        let shown = drawn(&film, &[KeyCode::Right, KeyCode::Down], 14, 6);
        assert!(shown.contains("↑↓ rows 2-4 o"), "{shown}");
    }
}
