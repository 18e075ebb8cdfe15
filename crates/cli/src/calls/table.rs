//! Columns for people: aligned, in one pass, without frames.

use std::io::IsTerminal;

use m365_audit_core::one_line;

/// Rows of text under a head. The last column is as wide as it likes.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    // What a service says may hold anything.
    let clean = |row: &Vec<String>| row.iter().map(|cell| one_line(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(clean).collect();
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut row = String::new();
        for (width, cell) in widths.iter().zip(cells) {
            row.push_str(cell);
            row.push_str(&" ".repeat(2 + width - cell.chars().count()));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    };
    line(&mut head.iter().copied());
    for row in &rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// A bearable width of lines.
const COLUMNS: usize = 88;

/// Narrower lines are hard to read, and rather wrap.
const COLUMNS_MIN: usize = 30;

/// `words`, flowed to a bearable width that fits the terminal, if there is one.
pub(crate) fn paragraph(words: &str) -> String {
    paragraph_beside(0, words)
}

/// The same to the right of so many columns that are taken.
pub(crate) fn paragraph_beside(taken: usize, words: &str) -> String {
    let terminal = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    flowed(room(terminal.map(|(width, _)| usize::from(width.0)), taken), words)
}

fn room(terminal: Option<usize>, taken: usize) -> usize {
    terminal.map_or(COLUMNS, |columns| columns.saturating_sub(taken).clamp(COLUMNS_MIN, COLUMNS))
}

fn flowed(columns: usize, words: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if 0 < column && columns < column + 1 + length {
            text.push('\n');
            column = 0;
        } else if 0 < column {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_rows_stay_one_line() {
        let rows = [vec!["a".into(), "x\ny".into()], vec!["Zahl-é".into(), String::new()]];
        assert_eq!(table(&["T", "WHAT"], &rows), "T       WHAT\na       x y\nZahl-é\n");
    }

    #[test]
    fn a_paragraph_flows() {
        for (terminal, taken, width) in [(None, 28, 88), (Some(80), 28, 52), (Some(40), 28, 30)] {
            let columns = room(terminal, taken);
            assert_eq!(columns, width);
            let text = flowed(columns, &"word ".repeat(40));
            assert!(text.lines().all(|line| line.len() <= width), "{text}");
            assert_eq!(text.split_whitespace().count(), 40);
        }
    }
}
