//! Tokens of one line of the text form, and a cursor over them.
//!
//! in   a line
//! out  tokens; typed readers that say what they missed

use super::parse::Reason;
use crate::function::{Block, LeaveId, Value};
use alloy_primitives::U256;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    /// A name, such as `block` or `v3`.
    Name(&'a str),
    /// A number, decimal or hexadecimal.
    Number(&'a str),
    /// A sign, such as `,` or `->`.
    Sign(&'a str),
}

impl<'a> Token<'a> {
    const fn text(&self) -> &'a str {
        match self {
            Self::Name(text) | Self::Number(text) | Self::Sign(text) => text,
        }
    }
}

/// A position in the tokens of a line.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Cursor<'a> {
    /// Splits a line into tokens.
    pub fn new(line: &'a str) -> Result<Self, Reason> {
        let mut rest = line.split(';').next().unwrap_or_default().trim_start();
        let mut tokens = vec![];
        while let Some(first) = rest.chars().next() {
            let len = token_len(rest, first).ok_or(Reason::Character(first))?;
            let (text, behind) = rest.split_at(len);
            tokens.push(match first {
                'a'..='z' | 'A'..='Z' => Token::Name(text),
                '0'..='9' => Token::Number(text),
                _ => Token::Sign(text),
            });
            rest = behind.trim_start();
        }
        Ok(Self { tokens, next: 0 })
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.next == self.tokens.len()
    }

    /// Fails when something is left.
    pub fn end(&self) -> Result<(), Reason> {
        self.tokens.get(self.next).map_or(Ok(()), |token| Err(missing("the end of the line", Some(token))))
    }

    /// Takes the next token if it is this one.
    pub fn take(&mut self, text: &str) -> bool {
        let taken = self.tokens.get(self.next).is_some_and(|token| token.text() == text);
        self.next += usize::from(taken);
        taken
    }

    /// Takes the next token, which must be this one.
    pub fn expect(&mut self, text: &'static str) -> Result<(), Reason> {
        if self.take(text) { Ok(()) } else { Err(missing(text, self.tokens.get(self.next))) }
    }

    /// Takes a name.
    pub fn name(&mut self) -> Result<&'a str, Reason> {
        match self.tokens.get(self.next) {
            Some(Token::Name(name)) => {
                self.next += 1;
                Ok(name)
            }
            other => Err(missing("a name", other)),
        }
    }

    /// Whether the next token is the name of a value.
    pub fn is_value(&self) -> bool {
        matches!(self.tokens.get(self.next), Some(Token::Name(name)) if value_number(name).is_some())
    }

    /// Takes a value.
    pub fn value(&mut self) -> Result<Value, Reason> {
        let token = self.tokens.get(self.next);
        let number = match token {
            Some(Token::Name(name)) => value_number(name),
            _ => None,
        };
        self.next += 1;
        number.map(Value).ok_or_else(|| missing("a value", token))
    }

    /// Takes a number.
    pub fn number<T: TryFrom<U256>>(&mut self) -> Result<T, Reason> {
        let token = self.tokens.get(self.next);
        let Some(Token::Number(text)) = token else { return Err(missing("a number", token)) };
        self.next += 1;
        let word = match text.strip_prefix("0x") {
            Some(digits) => U256::from_str_radix(digits, 16),
            None => U256::from_str_radix(text, 10),
        };
        let number = word.ok().and_then(|word| T::try_from(word).ok());
        number.ok_or_else(|| Reason::Number((*text).to_owned()))
    }

    /// Takes a number behind a word that says what it is.
    pub fn labelled<T: TryFrom<U256>>(&mut self, label: &'static str) -> Result<T, Reason> {
        self.expect(label)?;
        self.number()
    }

    /// Takes a slot.
    pub fn slot(&mut self) -> Result<i32, Reason> {
        self.expect("[")?;
        let is_negative = self.take("-");
        let number: u32 = self.number()?;
        self.expect("]")?;
        let number = if is_negative { -i64::from(number) } else { i64::from(number) };
        i32::try_from(number).map_err(|_| Reason::Number(number.to_string()))
    }

    /// Takes the name of a block.
    pub fn block(&mut self) -> Result<Block, Reason> {
        self.labelled("block").map(Block)
    }

    /// Takes the name of a leave row.
    pub fn leave(&mut self) -> Result<LeaveId, Reason> {
        self.labelled("leave").map(LeaveId)
    }
}

fn missing(wanted: &'static str, found: Option<&Token<'_>>) -> Reason {
    Reason::Missing { wanted, found: found.map_or("nothing", Token::text).to_owned() }
}

fn value_number(name: &str) -> Option<u32> {
    name.strip_prefix('v').filter(|digits| digits.starts_with(|first: char| first.is_ascii_digit()))?.parse().ok()
}

/// Length of the token at the start of the text; none for a character that starts none.
fn token_len(text: &str, first: char) -> Option<usize> {
    if first.is_ascii_alphanumeric() {
        let mut len = text.len();
        for (index, byte) in text.bytes().enumerate() {
            let next = text.as_bytes().get(index + 1).copied().unwrap_or(b' ');
            // A hyphen inside a name belongs to it: `table-call`.
            if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' && next.is_ascii_alphanumeric()) {
                len = index;
                break;
            }
        }
        return Some(len);
    }
    ["->", "..=", ",", ":", "=", "(", ")", "[", "]", "-"].into_iter().find(|sign| text.starts_with(sign)).map(str::len)
}
