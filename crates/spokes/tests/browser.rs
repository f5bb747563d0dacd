//! The browser of the walkthroughs is what its options say, and leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    time::Duration,
};

use common::{
    browser::{Browser, Options, keys},
    wait_for,
};

const PAGE: &str = "<!doctype html><html lang=en><title>A title</title>\
    <style>body { color: red } @media (prefers-color-scheme: dark) { body { color: blue } }</style>\
    <p id=says>no script ran</p><noscript><p>noscript</p></noscript>\
    <script>document.getElementById('says').textContent = 'a script ran'</script>\
    <script>console.error('a word in the log')</script>\
    <img src='http://elsewhere.example/x.png' alt=''>\
    <form action=/sent><label for=name>Your \"own\" name</label> <input id=name name=name>\
    <label>A file <input type=file name=file id=file></label>\
    <button>Don't wait</button></form>";

/// Answers every request with one page, under a policy when the path says so, and repeats the request.
fn serve() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                drop(stream.set_read_timeout(Some(Duration::from_secs(5))));
                let mut asked = [0; 4096];
                let length = stream.read(&mut asked).unwrap_or_default();
                let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
                let policy = if asked.starts_with("GET /strict") {
                    "Content-Security-Policy: default-src 'none'\r\n"
                } else {
                    ""
                };
                let asked = asked.replace('&', "&amp;").replace('<', "&lt;");
                let body = format!("{PAGE}<pre>{asked}</pre>");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n{policy}\
                     Set-Cookie: a=b\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                drop(stream.write_all(answer.as_bytes()));
            });
        }
    });
    format!("http://walk.localhost:{port}")
}

#[test]
fn a_browser_without_scripts_still_reads_and_writes() {
    let address = serve();
    let browser = Browser::start(&Options {
        languages: "ar,en;q=0.5",
        ..Options::phone()
    });
    browser.go(&format!("{address}/a"));
    assert_eq!(browser.title(), "A title");
    assert_eq!(browser.find("#says").text(), "no script ran");
    let text = browser.text();
    assert!(text.contains("noscript"), "{text}");
    assert!(
        text.to_lowercase().contains("accept-language: ar"),
        "{text}"
    );
    assert_eq!(browser.run("return innerWidth"), 390);
    browser.find_field("Your \"own\" name").type_in("مرحبا");
    assert_eq!(browser.find("#name").value(), "مرحبا");
    browser.find("#name").clear();
    browser.find("#name").fill("a\nb");
    browser.press(keys::TAB);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.txt");
    fs::write(&file, "a").unwrap();
    browser.find_field("A file").upload(&file);
    browser.find_control("Don't wait").click();
    wait_for("the answer to the form", Duration::from_secs(5), || {
        browser.url().contains("/sent?name=").then_some(())
    });
    assert!(browser.url().contains("file=a.txt"), "{}", browser.url());
    assert_eq!(browser.cookies()[0]["name"], "a");
    assert_eq!(
        browser.find_text("no script").attribute("id").unwrap(),
        "says"
    );
    browser.screenshot(&dir.path().join("a.png"));
    let shot = fs::read(dir.path().join("a.png")).unwrap();
    assert!(shot.starts_with(b"\x89PNG"));
    assert_eq!(browser.alert(), None);
}

#[test]
fn a_browser_with_scripts_tells_what_pages_do() {
    let address = serve();
    let browser = Browser::start(&Options {
        dark: true,
        zoom: 200,
        ..Options::default()
    });
    browser.go(&format!("{address}/a"));
    assert_eq!(browser.find("#says").text(), "a script ran");
    assert_eq!(browser.run("return innerWidth"), 640);
    let color = "return getComputedStyle(document.body).color";
    assert_eq!(browser.run(color), "rgb(0, 0, 255)");
    let log = browser.log().join("\n");
    assert!(log.contains("a word in the log"), "{log}");
    let requests = browser.requests();
    assert!(
        requests.iter().any(|url| url.contains("elsewhere.example")),
        "{requests:?}"
    );
    browser.set_dark(false);
    assert_eq!(browser.run(color), "rgb(255, 0, 0)");
    // A page whose policy forbids what it does is told of in the log.
    browser.go(&format!("{address}/strict"));
    assert_eq!(browser.find("#says").text(), "no script ran");
    let log = browser.log().join("\n");
    assert!(log.contains("Content Security Policy"), "{log}");
    browser.run("setTimeout(() => alert('hello'), 0)");
    let alert = wait_for("an alert", Duration::from_secs(5), || browser.alert());
    assert_eq!(alert, "hello");
    browser.dismiss_alert();
    assert_eq!(browser.alert(), None);
    let processes = browser.processes();
    assert!(!processes.is_empty());
    drop(browser);
    let left = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
    wait_for("all its processes are gone", Duration::from_secs(5), || {
        (!processes.iter().any(left)).then_some(())
    });
}
