//! Columns for people: aligned, in one pass, without frames.

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

/// `words`, flowed to a bearable width.
pub(crate) fn paragraph(words: &str) -> String {
    const COLUMNS: usize = 88;
    let mut text = String::new();
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if 0 < column && COLUMNS < column + 1 + length {
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
        let text = paragraph(&"word ".repeat(40));
        assert!(text.lines().all(|line| line.len() <= 88) && text.lines().count() == 3);
    }
}
