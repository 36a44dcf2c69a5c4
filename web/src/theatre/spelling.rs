//! Tokens as people can see them.

/// A token, made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelling {
    /// What is drawn: never empty, never invisible.
    pub text: String,
    /// Whether the line ends behind it.
    pub breaks: bool,
    /// Whether it is a name of what can't be drawn, such as `E4` or `U+4E2D`, and not the token itself.
    pub is_name: bool,
}

/// Spells a token: a blank as `·`, a line break as `⏎`, a byte that is no text as its two digits, what no font has as its
/// code point.
pub fn spelled(token: &str, mut drawable: impl FnMut(char) -> bool) -> Spelling {
    if let Some(byte) = lone_byte(token) {
        return Spelling {
            text: byte.to_owned(),
            breaks: false,
            is_name: true,
        };
    }
    let (mut text, mut is_name) = (String::new(), token.is_empty());
    for character in token.chars() {
        match character {
            ' ' => text.push('·'),
            '\n' => text.push(if drawable('⏎') { '⏎' } else { '↵' }),
            '\t' => text.push('→'),
            other => {
                let alone = text.is_empty() && is_combining(other);
                if other.is_control() || other.is_whitespace() || alone || !drawable(other) {
                    is_name = true;
                    text.push_str(&format!("U+{:04X}", u32::from(other)));
                } else {
                    text.push(other);
                }
            }
        }
    }
    if text.is_empty() {
        text.push('∅');
    }
    Spelling {
        text,
        breaks: token.ends_with('\n'),
        is_name,
    }
}

/// The two digits of a byte that is no text by itself: `<0xE4>`.
fn lone_byte(token: &str) -> Option<&str> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
}

/// Whether a character only sits on another one.
fn is_combining(character: char) -> bool {
    matches!(u32::from(character),
        0x300..=0x36F | 0x483..=0x489 | 0x591..=0x5BD | 0x610..=0x61A | 0x64B..=0x65F | 0x200B..=0x200F
        | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE00..=0xFE0F | 0xFE20..=0xFE2F)
}

/// A token's bytes in hexadecimal: `C3 A4`.
pub fn bytes_of(token: &str) -> String {
    if let Some(byte) = lone_byte(token) {
        return byte.to_uppercase();
    }
    let bytes: Vec<String> = token.bytes().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(token: &str) -> String {
        spelled(token, |character| {
            character.is_ascii() || "ä⏎".contains(character)
        })
        .text
    }

    #[test]
    fn nothing_is_invisible() {
        assert_eq!(text(" the"), "·the");
        assert_eq!(text(".\n"), ".⏎");
        assert!(spelled("\n", |_| true).breaks);
        assert_eq!(text("<0xE4>"), "E4");
        assert_eq!(text("中"), "U+4E2D");
        assert_eq!(text("ä"), "ä");
        assert_eq!(text("\u{301}"), "U+0301");
        assert_eq!(text("\u{7}"), "U+0007");
        assert_eq!(text(""), "∅");
        assert_eq!(text("<0xZZ>"), "<0xZZ>");
    }

    #[test]
    fn bytes_are_told() {
        assert_eq!(bytes_of("ä"), "C3 A4");
        assert_eq!(bytes_of("<0xe4>"), "E4");
    }
}
