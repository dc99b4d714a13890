//! Reads a Rust source into what the rules need: code without comments and literals, the comments,
//! and the code without its inline tests. Line numbers stay those of the file in all of them.

/// One source file, cut up once and judged by many rules.
pub struct Source {
    /// Path from the root of the package, with forward slashes.
    pub path: String,
    /// The text as it lies on the disk.
    pub text: String,
    /// Code alone: comments and the insides of literals are blanks.
    pub code: String,
    /// The same without `#[cfg(test)] mod … { … }`.
    pub product: String,
    /// Comments alone.
    pub comments: String,
    /// Lines of inline test modules.
    pub inline_test_lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let (code, comments) = split(text);
        let (product, inline_test_lines) = without_inline_tests(&code);
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            product,
            comments,
            inline_test_lines,
        }
    }

    /// Is this file made of tests alone?
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs")
    }

    pub fn is_product(&self) -> bool {
        self.path.starts_with("src/") && !self.is_test()
    }

    /// The folder below `src/`, or the file's own name for a file that lies in `src/` itself.
    pub fn folder(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below
            .split('/')
            .next()
            .unwrap_or(below)
            .trim_end_matches(".rs")
    }

    pub fn is_pure(&self) -> bool {
        self.text.starts_with("//! Pure:")
    }
}

/// Parts the text into code and comments of equal shape.
fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Parts::default();
    let mut at = 0;
    while at < chars.len() {
        let here = &chars[at..];
        let taken = match here {
            ['/', '/', ..] => out.comment(here, line_end(here)),
            ['/', '*', ..] => out.comment(here, block_end(here)),
            ['"', ..] => out.literal(here, 0, string_end(&here[1..]) + 1),
            ['\'', ..] => match char_end(here) {
                Some(end) => out.literal(here, 0, end),
                None => out.code(here, 1),
            },
            _ => match raw_prefix(&chars, at) {
                Some((lead, hashes)) => out.literal(here, lead, raw_end(here, lead, hashes)),
                None => out.code(here, 1),
            },
        };
        at += taken;
    }
    (out.code, out.comments)
}

#[derive(Default)]
struct Parts {
    code: String,
    comments: String,
}

impl Parts {
    fn code(&mut self, here: &[char], count: usize) -> usize {
        for letter in &here[..count] {
            self.code.push(*letter);
            self.comments.push(blank(*letter));
        }
        count
    }

    fn comment(&mut self, here: &[char], count: usize) -> usize {
        for letter in &here[..count] {
            self.code.push(blank(*letter));
            self.comments.push(*letter);
        }
        count
    }

    fn literal(&mut self, here: &[char], lead: usize, count: usize) -> usize {
        for (index, letter) in here[..count].iter().enumerate() {
            let edge = index <= lead || index + 1 == count;
            self.code.push(if edge { *letter } else { blank(*letter) });
            self.comments.push(blank(*letter));
        }
        count
    }
}

fn blank(letter: char) -> char {
    if letter == '\n' { '\n' } else { ' ' }
}

fn line_end(here: &[char]) -> usize {
    here.iter()
        .position(|letter| *letter == '\n')
        .unwrap_or(here.len())
}

fn block_end(here: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < here.len() {
        match &here[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    here.len()
}

/// Length up to and with the closing quote, the opening one not counted.
fn string_end(here: &[char]) -> usize {
    let mut at = 0;
    while at < here.len() {
        match here[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    here.len()
}

/// The length of a character literal; `None` for a lifetime or a label.
fn char_end(here: &[char]) -> Option<usize> {
    match here {
        [_, '\\', rest @ ..] => {
            let close = rest.iter().skip(1).position(|letter| *letter == '\'')?;
            Some(close + 4)
        }
        [_, _, '\'', ..] => Some(3),
        _ => None,
    }
}

/// `r"`, `br#"`, … : the index of the quote and the number of hashes.
fn raw_prefix(chars: &[char], at: usize) -> Option<(usize, usize)> {
    if at > 0 && is_word(chars[at - 1]) {
        return None;
    }
    let start = match chars[at..] {
        ['r', ..] => 1,
        ['b' | 'c', 'r', ..] => 2,
        _ => return None,
    };
    let hashes = chars[at + start..]
        .iter()
        .take_while(|letter| **letter == '#')
        .count();
    let quote = at + start + hashes;
    (chars.get(quote) == Some(&'"')).then_some((start + hashes, hashes))
}

fn raw_end(here: &[char], lead: usize, hashes: usize) -> usize {
    let mut at = lead + 1;
    while at < here.len() {
        let closes = here[at] == '"'
            && here[at + 1..]
                .iter()
                .take_while(|letter| **letter == '#')
                .count()
                >= hashes;
        at += 1;
        if closes {
            return at + hashes;
        }
    }
    here.len()
}

/// Is this a letter of an identifier?
pub fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn without_inline_tests(code: &str) -> (String, usize) {
    let mut lines: Vec<&str> = code.lines().collect();
    let mut counted = 0;
    let mut at = 0;
    while at < lines.len() {
        let opens = lines[at].trim() == "#[cfg(test)]"
            && lines
                .get(at + 1)
                .is_some_and(|next| next.contains("mod ") && next.contains('{'));
        if opens {
            let length = 1 + block_lines(&lines[at + 1..]);
            counted += length;
            let end = (at + length).min(lines.len());
            lines[at..end].fill("");
            at = end;
        } else {
            at += 1;
        }
    }
    (lines.join("\n"), counted)
}

/// Lines from the first to the one that closes its brace.
pub fn block_lines(lines: &[&str]) -> usize {
    let mut depth = 0_i64;
    for (index, line) in lines.iter().enumerate() {
        for letter in line.chars() {
            match letter {
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        return index + 1;
                    }
                }
                _ => {}
            }
        }
    }
    lines.len()
}

/// Where `word` stands by itself: the numbers of the lines, from 1.
pub fn lines_with(text: &str, word: &str) -> Vec<usize> {
    let hit = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            let edge = |letter: Option<char>| letter.is_none_or(|letter| !is_word(letter));
            edge(before) && edge(after)
        })
    };
    numbered(text)
        .filter(|(_, line)| hit(line))
        .map(|(number, _)| number)
        .collect()
}

/// The lines of a text with their numbers, from 1.
pub fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}
