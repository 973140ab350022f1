//! The screen of `diyadm ui` on terminals of several sizes, character by character.

use ::diyadm::{
    kinds::{DEPLOYMENT, POD},
    screen::{Item, ItemKey, KeyAction, Model, Palette, Place, Request, Usage, draw, printed},
    status::State,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};
use unicode_width::UnicodeWidthStr;

use super::{Golden, hold};

fn item(name: &str, state: Option<State>, note: &str) -> Item {
    let key = ItemKey {
        namespace: "shop".to_owned(),
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
    };
    let is_empty = state.is_some();
    let text = |text: &str| if is_empty { text.to_owned() } else { String::new() };
    Item {
        key,
        kind: Some(&DEPLOYMENT),
        state,
        by: text("li.wei@example.org"),
        since: text("2026-01-02T01:00:00Z"),
        expires: None,
        ready: "1/1".to_owned(),
        containers: if is_empty { vec!["app=busybox:1".to_owned()] } else { Vec::new() },
        note: note.to_owned(),
    }
}

fn model(namespace: Option<&str>) -> Model {
    let place = Place {
        namespace: namespace.map(ToOwned::to_owned),
        flags: String::new(),
        program: "diyadm",
    };
    let mut model = Model::new(place);
    let stuck = "ImagePullBackOff: 镜像 registry.example.org/shop/orders:1.2.3 拉取失败，请检查镜像地址和拉取凭证";
    let mut items = vec![
        item("gateway-with-a-name-as-long-as-teams-like-them", None, ""),
        item("orders", Some(State::Stuck), stuck),
        item("web", Some(State::Empty), ""),
        Item {
            by: "王小明".to_owned(),
            expires: "2026-01-02T09:00:00Z".parse().ok(),
            ..item("worker", Some(State::Pods), "2 of its Pods are empty")
        },
        item("forged\u{1b}[2J\nname", None, ""),
    ];
    let pod = item("probe", Some(State::Missed), "it is older than the webhook");
    items.push(Item {
        key: ItemKey { group: String::new(), kind: "Pod".to_owned(), ..pod.key },
        kind: Some(&POD),
        by: String::new(),
        since: String::new(),
        containers: Vec::new(),
        ..pod
    });
    items.extend((1..=30).map(|number| item(&format!("service-{number}"), None, "")));
    let web = items[2].key.clone();
    model.set_items(items);
    let usage = |at_ms, cpu_ms| Usage {
        applications: vec!["app".to_owned(), "worker exit 1".to_owned()],
        who: vec!["wang.fang@example.org".to_owned()],
        left_ms: Some(7_000_000),
        cpu_ms,
        rss: 313 << 20,
        at_ms,
        cpu: None,
    };
    model.set_usage(web.clone(), usage(0, 0));
    model.set_usage(web, usage(3000, 360));
    model.set_now("2026-01-02T03:00:00Z".parse().unwrap());
    model
}

fn press(model: &mut Model, keys: &str) -> Option<Request> {
    let key = |c| match c {
        '\n' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        c => KeyCode::Char(c),
    };
    keys.chars().map(|c| model.key(KeyEvent::new(key(c), KeyModifiers::NONE))).last().flatten()
}

/// What a terminal of this size shows; the cursor is `▏`, if it is seen.
fn shown(model: &mut Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut cursor = None;
    terminal.draw(|frame| cursor = draw(model, frame.buffer_mut(), Palette::Plain)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        let mut line = String::new();
        let mut x = 0;
        while x < width {
            if cursor.is_some_and(|cursor| (cursor.x, cursor.y) == (x, y)) {
                line.push('▏');
            }
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(symbol.width().max(1)).unwrap();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn screen_matches_golden() {
    let mut made = Golden::new();
    let mut hold_one = |name: &str, text: String| made.insert(format!("{name}.txt"), text);
    let mut one = model(Some("shop"));
    press(&mut one, "jj");
    hold_one("80x24", shown(&mut one, 80, 24));
    hold_one("wide", shown(&mut model(None), 140, 20));
    press(&mut one, "k");
    hold_one("note", shown(&mut one, 80, 24));
    hold_one("small", shown(&mut one, 30, 8));
    press(&mut one, "G");
    hold_one("last", shown(&mut one, 80, 12));
    press(&mut one, "?");
    hold_one("help", shown(&mut one, 80, 24));
    press(&mut one, "\u{1b}gj\n");
    hold_one("details", shown(&mut one, 80, 24));
    press(&mut one, "\u{1b}/web");
    hold_one("filter", shown(&mut one, 80, 12));
    let Some(Request::Check(KeyAction::Run, key)) = press(&mut one, "\nx") else { panic!() };
    one.checked(KeyAction::Run, &key, &["create pods/exec in namespace shop".to_owned()]);
    hold_one("denied", shown(&mut one, 80, 12));
    one.checked(KeyAction::Run, &key, &[]);
    press(&mut one, "java -jar /app.jar");
    hold_one("prompt", shown(&mut one, 80, 12));
    hold_one("prompt-narrow", shown(&mut one, 30, 12));
    press(&mut one, "\u{1b}\u{1b}");
    one.set_now("2026-01-02T08:46:00Z".parse().unwrap());
    hold_one("ends-soon", shown(&mut one, 80, 12));
    press(&mut one, "/nothing");
    hold_one("no-match", shown(&mut one, 80, 12));
    hold_one("once", printed(&model(Some("shop")), 80));
    hold("golden/screen", &made);
}

#[test]
fn screen_of_any_size_is_drawn() {
    let mut model = model(Some("shop"));
    for keys in ["", "?", "\u{1b}\n", "\u{1b}/web"] {
        press(&mut model, keys);
        for (width, height) in [(1, 1), (2, 3), (80, 1), (1, 24), (300, 100)] {
            shown(&mut model, width, height);
        }
    }
}
