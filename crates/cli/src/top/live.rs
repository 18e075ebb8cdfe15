//! The screen on a terminal, until somebody has seen enough of it.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::termion::event::Key;
use ratatui::termion::input::TermRead;
use ratatui::termion::raw::IntoRawMode;
use ratatui::termion::screen::IntoAlternateScreen;

use crate::top::model::Answer;
use crate::top::screen::Screen;
use crate::top::source::Source;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How soon a terminal of another size is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// What the screen hears.
enum News {
    Key(Key),
    Answer(Box<Answer>),
    /// Nothing could be looked at, and why.
    Problem(String),
    /// There are no keys any more.
    Gone,
}

/// What somebody wants who presses a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Stay,
    End,
}

/// Shows it until a key ends it.
pub(super) fn show(source: Source) -> Result<(), String> {
    let mut screen = Screen::default();
    screen.take(source.look(None)?);
    let (news, heard) = mpsc::channel();
    let chosen = look_again_and_again(source, news.clone());
    let _ = chosen.send(screen.chosen());
    thread::spawn(move || {
        for key in io::stdin().keys() {
            if news.send(key.map_or(News::Gone, News::Key)).is_err() {
                return;
            }
        }
        let _ = news.send(News::Gone);
    });
    let problem = |error: io::Error| error.to_string();
    // Both are undone when they are dropped, in a panic too.
    let raw = io::stdout().into_raw_mode().and_then(IntoAlternateScreen::into_alternate_screen);
    let mut terminal =
        Terminal::new(TermionBackend::new(raw.map_err(problem)?)).map_err(problem)?;
    terminal.hide_cursor().map_err(problem)?;
    loop {
        terminal.draw(|frame| screen.draw(frame.area(), frame.buffer_mut())).map_err(problem)?;
        let before = screen.chosen();
        match heard.recv_timeout(DRAW_EVERY) {
            Ok(News::Key(key)) => {
                if press(&mut screen, key) == Wish::End {
                    break;
                }
            }
            Ok(News::Answer(answer)) => screen.take(*answer),
            Ok(News::Problem(problem)) => screen.fail(problem),
            Ok(News::Gone) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if screen.chosen() != before {
            let _ = chosen.send(screen.chosen());
        }
    }
    terminal.show_cursor().map_err(problem)
}

/// Looks from a thread of its own, so that a slow answer does not hold up the keys. Answers where
/// to say which tenant everything is wanted of.
fn look_again_and_again(source: Source, news: Sender<News>) -> Sender<Option<String>> {
    let (chosen, wanted) = mpsc::channel::<Option<String>>();
    thread::spawn(move || {
        let mut of = None;
        loop {
            match wanted.recv_timeout(LOOK_EVERY) {
                Ok(tenant) => of = tenant,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let looked = source.look(of.as_deref());
            let told = looked.map_or_else(News::Problem, |answer| News::Answer(answer.into()));
            if news.send(told).is_err() {
                return;
            }
        }
    });
    chosen
}

/// Does what a key says.
fn press(screen: &mut Screen, key: Key) -> Wish {
    if key == Key::Ctrl('c') {
        return Wish::End;
    }
    if let Some(search) = screen.search_mut() {
        match key {
            Key::Char('\n') => screen.end_search(),
            Key::Char(letter) => search.push(letter),
            Key::Backspace => drop(search.pop()),
            Key::Esc => screen.drop_search(),
            _ => {}
        }
        return Wish::Stay;
    }
    match key {
        Key::Char('q') | Key::Esc => return Wish::End,
        Key::Char('/') => screen.begin_search(),
        Key::Char('b') => screen.toggle_bad(),
        Key::Down | Key::Char('j') => screen.choose_by(1),
        Key::Up | Key::Char('k') => screen.choose_by(-1),
        Key::PageDown => screen.choose_by(10),
        Key::PageUp => screen.choose_by(-10),
        _ => {}
    }
    Wish::Stay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_search_and_end() {
        let mut screen = Screen::default();
        for key in [Key::Char('/'), Key::Char('q'), Key::Char('x'), Key::Backspace] {
            assert_eq!(press(&mut screen, key), Wish::Stay);
        }
        assert_eq!(screen.search_mut().map(|search| search.clone()).as_deref(), Some("q"));
        assert_eq!(press(&mut screen, Key::Char('\n')), Wish::Stay);
        assert_eq!(press(&mut screen, Key::Char('q')), Wish::End);
        assert_eq!(press(&mut screen, Key::Ctrl('c')), Wish::End);
    }
}
