//! A long document is encoded piece by piece, and its pieces depend on its text alone: whoever reads it whole, in
//! chunks or in parallel gets the same ids.

use super::begins_character;

/// A piece has at least so many bytes, unless it is the document's last.
const SMALLEST: usize = 64 << 10;

/// A piece has at most so many. The regular expressions that find words keep a step for each character of a run of
/// spaces, and give up at a million.
const LARGEST: usize = 256 << 10;

/// How many bytes the next piece of a document has; `rest` is all that is left of the document, or at least 4 bytes more
/// than the 256 KiB of the largest piece.
///
/// After 64 KiB, a piece ends behind the first newline between two characters that are no white space: the expressions of
/// well-known models end a word there, so the ids are those of the document as a whole. Where the largest piece has none,
/// it ends behind the first newline with no white space behind it, and where it hasn't even that, between two characters.
/// A piece by itself is one piece.
pub fn piece_length(rest: &[u8]) -> usize {
    let furthest = LARGEST.min(rest.len().saturating_sub(1));
    let mut line_ends = (SMALLEST..=furthest)
        .filter(|&end| rest[end - 1] == b'\n' && !begins_with_white_space(&rest[end..]));
    let first = line_ends.clone().next();
    let best = line_ends.find(|&end| !ends_with_white_space(&rest[..end - 1]));
    if rest.len() <= LARGEST {
        return best.unwrap_or(rest.len());
    }
    if let Some(end) = best.or(first) {
        return end;
    }
    let between_characters = |end: &usize| begins_character(rest[*end]);
    (LARGEST - 3..=LARGEST)
        .rev()
        .find(between_characters)
        .unwrap_or(LARGEST)
}

/// No white space has more than three bytes.
const WHITE_SPACE: usize = 3;

fn begins_with_white_space(text: &[u8]) -> bool {
    let mut chunks = text[..text.len().min(WHITE_SPACE)].utf8_chunks();
    let first = chunks.next().and_then(|chunk| chunk.valid().chars().next());
    first.is_some_and(char::is_whitespace)
}

fn ends_with_white_space(text: &[u8]) -> bool {
    let chunk = text[text.len().saturating_sub(WHITE_SPACE)..]
        .utf8_chunks()
        .last();
    chunk.is_some_and(|chunk| {
        chunk.invalid().is_empty() && chunk.valid().ends_with(char::is_whitespace)
    })
}

/// The pieces of a whole document, in order.
pub(super) fn pieces(document: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = document;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(piece_length(rest));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Half a megabyte of these parts, in an order that depends on the seed.
    fn document(parts: &[&[u8]], seed: u32) -> Vec<u8> {
        let mut state = seed;
        let mut text = Vec::new();
        while text.len() < 2 * LARGEST {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(parts[(state >> 16) as usize % parts.len()]);
        }
        text
    }

    const PROSE: [&[u8]; 5] = [
        b"line \n",
        b"\n  indented\n",
        "größer\n漢字\n".as_bytes(),
        "\n\u{3000}".as_bytes(),
        b" word",
    ];
    const ONE_LINE: [&[u8]; 4] = [
        b"no end ",
        "漢字".as_bytes(),
        "👩\u{200D}🚀".as_bytes(),
        "\n\u{2028} ".as_bytes(),
    ];
    const BINARY: [&[u8]; 4] = [b"\x80\x80\x80\x80\x80", b"\xFF", b"\0\n", b"\xE3\x80"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn what_is_in_sight_decides(seed in any::<u32>(), kind in 0..3, more in 0_usize..1_000) {
            let parts: &[&[u8]] = [&PROSE[..], &ONE_LINE, &BINARY][kind as usize];
            let text = document(parts, seed);
            for piece in pieces(&text) {
                let begin = piece.as_ptr().addr() - text.as_ptr().addr();
                let sight = (begin + LARGEST + 4 + more).min(text.len());
                prop_assert_eq!(piece_length(&text[begin..sight]), piece.len());
                prop_assert_eq!(piece_length(piece), piece.len());
            }
        }

        #[test]
        fn pieces_end_where_they_should(seed in any::<u32>(), kind in 0..3) {
            let parts: &[&[u8]] = [&PROSE[..], &ONE_LINE, &BINARY][kind as usize];
            let text = document(parts, seed);
            let all: Vec<&[u8]> = pieces(&text).collect();
            prop_assert!(all.concat() == text);
            let mut end = 0;
            for piece in &all[..all.len() - 1] {
                end += piece.len();
                prop_assert!((SMALLEST..=LARGEST).contains(&piece.len()));
                let behind = String::from_utf8_lossy(&text[end..(end + 4).min(text.len())]).into_owned();
                let line = piece.ends_with(b"\n") && !behind.starts_with(char::is_whitespace);
                if kind == 0 {
                    let before = std::str::from_utf8(&piece[..piece.len() - 1]).unwrap();
                    prop_assert!(!before.ends_with(char::is_whitespace), "{:?}", &before[before.len() - 6..]);
                }
                prop_assert!(line || piece.len() > LARGEST - 4);
                prop_assert!(line == (kind != 1));
                prop_assert!(kind == 2 || std::str::from_utf8(piece).is_ok());
            }
        }
    }

    #[test]
    fn small_documents_are_one_piece() {
        for text in ["", "a", "a\nb\n"] {
            assert_eq!(piece_length(text.as_bytes()), text.len());
        }
        let mut text = vec![b'a'; SMALLEST - 1];
        text.extend_from_slice(b"\nb\nc");
        assert_eq!(piece_length(&text), SMALLEST);
        assert_eq!(
            piece_length(&text[..SMALLEST]),
            SMALLEST,
            "nothing is behind it"
        );
        assert_eq!(pieces(b"").count(), 0);
    }

    #[test]
    fn a_single_newline_is_the_better_end() {
        let ends = |lines: &[&str]| {
            let text = "x".repeat(SMALLEST) + &lines.concat() + &"x".repeat(LARGEST);
            text[SMALLEST..piece_length(text.as_bytes())].to_owned()
        };
        assert_eq!(
            ends(&["\n\n", "a\r\n", "b\u{3000}\n", "ü\n", "d\n"]),
            "\n\na\r\nb\u{3000}\nü\n"
        );
        assert_eq!(ends(&["a\n \n", "b\r\n", "c\n\u{a0}\n\n"]), "a\n \n");
        assert_eq!(ends(&["a\n b\n\u{2028}"]).len(), LARGEST - SMALLEST);
    }
}
