//! Splits Rust source into code and comments, so that a rule about one does not stumble over the other.
//!
//! in   Rust source
//! out  two texts of the same lines: the code with comments and literals blanked, and the comments alone
//!
//! M1  Line numbers are those of the source.
//! M2  What is in a string or character literal is in neither text.

/// The two halves of a source text.
#[derive(Debug, Default)]
pub(super) struct Masked {
    pub(super) code: String,
    pub(super) comments: String,
}

/// Where the scanner stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    LineComment,
    /// Nested to this depth.
    BlockComment(usize),
    Text,
    /// A raw string closed by a quote and this many `#`.
    RawText(usize),
}

/// Which text a token goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Characters that belong together.
struct Token {
    len: usize,
    kind: Kind,
    next: Place,
}

/// Splits `source`.
pub(super) fn mask(source: &str) -> Masked {
    let characters: Vec<char> = source.chars().collect();
    let mut masked = Masked::default();
    let mut place = Place::Code;
    let mut at = 0;
    while at < characters.len() {
        let token = token(&characters, at, place);
        let end = (at + token.len).min(characters.len());
        for &character in &characters[at..end] {
            let shown = |kind| if token.kind == kind || character == '\n' { character } else { ' ' };
            masked.code.push(shown(Kind::Code));
            masked.comments.push(shown(Kind::Comment));
        }
        at = end;
        place = token.next;
    }
    masked
}

/// The token at `at`.
fn token(characters: &[char], at: usize, place: Place) -> Token {
    let here = characters[at];
    let after = characters.get(at + 1).copied();
    let token = |len, kind, next| Token { len, kind, next };
    match place {
        Place::Code => code_token(characters, at),
        Place::LineComment if here == '\n' => token(1, Kind::Comment, Place::Code),
        Place::BlockComment(1) if here == '*' && after == Some('/') => token(2, Kind::Comment, Place::Code),
        Place::BlockComment(depth) if here == '*' && after == Some('/') => {
            token(2, Kind::Comment, Place::BlockComment(depth - 1))
        }
        Place::BlockComment(depth) if here == '/' && after == Some('*') => {
            token(2, Kind::Comment, Place::BlockComment(depth + 1))
        }
        Place::LineComment | Place::BlockComment(_) => token(1, Kind::Comment, place),
        Place::Text if here == '\\' => token(2, Kind::Literal, place),
        Place::Text if here == '"' => token(1, Kind::Literal, Place::Code),
        Place::RawText(hashes) if here == '"' && count_hashes(characters, at + 1) >= hashes => {
            token(1 + hashes, Kind::Literal, Place::Code)
        }
        Place::Text | Place::RawText(_) => token(1, Kind::Literal, place),
    }
}

/// As [`token`], in code.
fn code_token(characters: &[char], at: usize) -> Token {
    let after = |offset: usize| characters.get(at + offset).copied();
    let token = |len, kind, next| Token { len, kind, next };
    let previous = at.checked_sub(1).map(|index| characters[index]);
    let starts_word = previous.is_none_or(|character| !(character.is_alphanumeric() || character == '_'));
    match characters[at] {
        '/' if after(1) == Some('/') => token(2, Kind::Comment, Place::LineComment),
        '/' if after(1) == Some('*') => token(2, Kind::Comment, Place::BlockComment(1)),
        '"' => token(1, Kind::Literal, Place::Text),
        'r' if starts_word || previous == Some('b') => {
            let hashes = count_hashes(characters, at + 1);
            if after(1 + hashes) == Some('"') {
                token(2 + hashes, Kind::Literal, Place::RawText(hashes))
            } else {
                token(1, Kind::Code, Place::Code)
            }
        }
        // A character literal is an escape, or one character and a quote; anything else is a lifetime.
        '\'' if after(1) == Some('\\') => {
            let closing = (3..).find(|&offset| after(offset).is_none_or(|character| character == '\''));
            token(closing.map_or(1, |offset| offset + 1), Kind::Literal, Place::Code)
        }
        '\'' if after(2) == Some('\'') => token(3, Kind::Literal, Place::Code),
        _ => token(1, Kind::Code, Place::Code),
    }
}

fn count_hashes(characters: &[char], from: usize) -> usize {
    characters[from.min(characters.len())..].iter().take_while(|&&character| character == '#').count()
}

#[cfg(test)]
mod tests {
    use super::mask;

    fn check(source: &str, code: &str, comments: &str) {
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let masked = mask(source);
        assert_eq!(squeeze(&masked.code), code, "{source}");
        assert_eq!(squeeze(&masked.comments), comments, "{source}");
        assert_eq!(masked.code.lines().count(), source.lines().count());
    }

    #[test]
    fn code_and_comments_part() {
        check("let a = 1; // one\nlet b;", "let a = 1; let b;", "// one");
        check("a /* b /* c */ d */ e", "a e", "/* b /* c */ d */");
    }

    #[test]
    fn literals_are_in_neither() {
        check("f(\"// no \\\" no\") // yes", "f( ) // yes".trim_end_matches(" // yes"), "// yes");
        check("let s = r#\"a \" // b\"#; t", "let s = ; t", "");
        check("let s = br\"a\\\"; t", "let s = b ; t", "");
        check("let c = '\"'; let d = '\\''; let e: &'a str;", "let c = ; let d = ; let e: &'a str;", "");
        check("\"open", "", "");
    }
}
