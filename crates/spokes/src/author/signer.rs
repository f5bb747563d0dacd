//! Who signs: the user's own `gpg` with its agent, smart card and pinentry, or a key in a file.

use std::{
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use spokes_log::{
    key::{Certificate, KeyFault},
    name::Fingerprint,
    seal::RawSignature,
    secret::SecretKey,
    time::Time,
};
use tokio::{io::AsyncWriteExt as _, process::Command, signal::ctrl_c, task::spawn_blocking};

use crate::author::{console::Console, now, stop::Stop};

/// With which key a command signs.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct SigningKey {
    /// The key in your own gpg: a fingerprint, a key id or an email address
    #[arg(long, value_name = "FINGERPRINT", conflicts_with = "key_file")]
    pub(crate) key: Option<String>,
    /// A file with a secret key; its password from `SPOKES_KEY_PASSWORD`, or asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Which user id goes into the certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UserId<'a> {
    /// None is made public: any will do.
    Any,
    /// The one chosen, or the only one.
    Public(Option<&'a str>),
}

/// What a signer takes from the process's surroundings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Where state lives: `XDG_STATE_HOME`, or its default.
    pub(crate) state_home: PathBuf,
    /// The password of a key file.
    pub(crate) key_password: Option<String>,
    /// `gpg`'s home where it is not the usual one: for tests.
    pub(crate) gnupg_home: Option<PathBuf>,
}

/// A key that signs for the author.
pub(crate) enum Signer {
    /// `gpg` does it.
    Gpg(Gpg),
    /// We do it.
    File(Box<SecretKey>),
}

/// The user's `gpg` and the key chosen in it.
pub(crate) struct Gpg {
    home: Option<PathBuf>,
    fingerprint: Fingerprint,
    /// What `--local-user` gets: the primary key itself where it can sign, else its newest subkey.
    local_user: String,
}

impl Signer {
    /// Finds the key.
    pub(crate) async fn open(
        key: &SigningKey,
        user_id: UserId<'_>,
        surroundings: &Surroundings,
        console: &Console,
    ) -> Result<Self, Stop> {
        match (&key.key, &key.key_file) {
            (Some(asked), _) => Gpg::find(asked, surroundings.gnupg_home.clone())
                .await
                .map(Self::Gpg),
            (None, Some(file)) => open_file(file, user_id, surroundings, console)
                .await
                .map(|key| Self::File(Box::new(key))),
            (None, None) => Err(Stop::Usage(
                "say with which key you sign: --key FINGERPRINT (from your own gpg; \"gpg -K\" \
                 lists them) or --key-file FILE"
                    .to_owned(),
            )),
        }
    }

    /// The fingerprint of the primary key.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        match self {
            Self::Gpg(gpg) => &gpg.fingerprint,
            Self::File(key) => key.certificate().fingerprint(),
        }
    }

    /// What others need to check signatures, with one user id.
    pub(crate) async fn certificate(&self, user_id: Option<&str>) -> Result<Certificate, Stop> {
        match self {
            Self::Gpg(gpg) => {
                let export = gpg.export().await?;
                Certificate::minimal(&export, user_id).map_err(refused)
            }
            Self::File(key) => Ok(key.certificate().clone()),
        }
    }

    /// Signs a canonical text.
    pub(crate) async fn sign(&mut self, text: &str, at: Time) -> Result<RawSignature, Stop> {
        match self {
            Self::Gpg(gpg) => gpg.sign(text).await,
            Self::File(key) => key.sign(text, at).map_err(refused),
        }
    }
}

fn refused(fault: KeyFault) -> Stop {
    Stop::Refused(fault.to_string())
}

impl Gpg {
    async fn find(asked: &str, home: Option<PathBuf>) -> Result<Self, Stop> {
        let args = ["--with-colons", "--list-secret-keys", "--", asked];
        let output = run(home.as_deref(), &args, None).await?;
        let found = keys_listed(&String::from_utf8_lossy(&output.stdout));
        let Some(key) = found.first() else {
            return Err(Stop::Refused(format!(
                "gpg has no secret key for \"{asked}\"; \"gpg -K\" lists those it has"
            )));
        };
        if found.len() > 1 {
            let names: Vec<_> = found.iter().map(|k| k.fingerprint.to_string()).collect();
            return Err(Stop::Refused(format!(
                "gpg has {} secret keys for \"{asked}\"; choose one by its fingerprint: {}",
                found.len(),
                names.join(", ")
            )));
        }
        let exact = if key.primary_signs { "!" } else { "" };
        Ok(Self {
            home,
            local_user: format!("{}{exact}", key.fingerprint),
            fingerprint: key.fingerprint.clone(),
        })
    }

    async fn export(&self) -> Result<Vec<u8>, Stop> {
        let fingerprint = self.fingerprint.to_string();
        let args = ["--export", "--", fingerprint.as_str()];
        let output = run(self.home.as_deref(), &args, None).await?;
        if output.status.success() && !output.stdout.is_empty() {
            return Ok(output.stdout);
        }
        Err(Stop::Refused(format!(
            "gpg did not export the certificate {fingerprint}: {}",
            last_words(&output)
        )))
    }

    async fn sign(&self, text: &str) -> Result<RawSignature, Stop> {
        let args = [
            "--status-fd",
            "2",
            "--local-user",
            self.local_user.as_str(),
            "--textmode",
            "--detach-sign",
            "--digest-algo",
            "SHA512",
            "--armor",
        ];
        let output = run(self.home.as_deref(), &args, Some(text)).await?;
        if !output.status.success() {
            return Err(Stop::Refused(why_unsigned(&self.fingerprint, &output)));
        }
        let signatures = RawSignature::parse_all(&output.stdout)
            .map_err(|why| Stop::Refused(format!("what gpg made cannot be used: {why}")))?;
        let mut signatures = signatures.into_iter();
        match (signatures.next(), signatures.next()) {
            (Some(signature), None) => Ok(signature),
            _ => Err(Stop::Refused(
                "gpg made more than one signature; take \"local-user\" out of its gpg.conf"
                    .to_owned(),
            )),
        }
    }
}

/// Runs `gpg` without a shell.
async fn run(home: Option<&Path>, args: &[&str], input: Option<&str>) -> Result<Output, Stop> {
    let mut command = Command::new("gpg");
    command.arg("--batch").args(args);
    command
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(home) = home {
        command.env("GNUPGHOME", home);
    }
    // Our pipe hides the terminal from gpg, and a pinentry in text mode needs to know it.
    if let Some(terminal) = terminal() {
        command.env("GPG_TTY", terminal);
    }
    let mut child = command.spawn().map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => Stop::Refused(
            "gpg is not installed here; install it, or sign with --key-file".to_owned(),
        ),
        _ => Stop::Refused(format!("gpg could not be started: {why}")),
    })?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // When gpg stops reading early, its own words say why.
        stdin.write_all(text.as_bytes()).await.ok();
    }
    child
        .wait_with_output()
        .await
        .map_err(|why| Stop::Refused(format!("gpg broke off: {why}")))
}

fn terminal() -> Option<PathBuf> {
    if std::env::var_os("GPG_TTY").is_some() || !std::io::stdin().is_terminal() {
        return None;
    }
    fs::read_link("/proc/self/fd/0").ok()
}

struct Listed {
    fingerprint: Fingerprint,
    primary_signs: bool,
}

/// Reads gpg's colon format (its doc/DETAILS): a `sec` line, then its `fpr` line.
fn keys_listed(listing: &str) -> Vec<Listed> {
    let mut keys = Vec::new();
    let mut primary_signs = None;
    for line in listing.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let field = |number: usize| fields.get(number - 1).copied().unwrap_or_default();
        match field(1) {
            "sec" => primary_signs = Some(field(12).contains('s') && field(15) != "#"),
            "fpr" => {
                let fingerprint = Fingerprint::parse(field(10)).ok();
                if let (Some(primary_signs), Some(fingerprint)) =
                    (primary_signs.take(), fingerprint)
                {
                    keys.push(Listed {
                        fingerprint,
                        primary_signs,
                    });
                }
            }
            _ => {}
        }
    }
    keys
}

/// Why gpg did not sign, from its status lines (its doc/DETAILS) and libgpg-error's codes.
fn why_unsigned(fingerprint: &Fingerprint, output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr);
    let code = words
        .lines()
        .filter_map(|line| line.strip_prefix("[GNUPG:] FAILURE "))
        .filter_map(|rest| rest.split(' ').nth(1)?.parse::<u32>().ok())
        // The low 16 bits are the code, the rest says which program gave it.
        .map(|code| code & 0xFFFF)
        .next_back();
    let expired = words.contains("[GNUPG:] KEYEXPIRED");
    let asked = words.contains("[GNUPG:] PINENTRY_LAUNCHED");
    match code {
        Some(99 | 198) => "you canceled in pinentry; nothing was signed, nothing is lost: start \
                           the command again when you like"
            .to_owned(),
        Some(11) => "gpg says the passphrase is wrong; nothing was signed, try again".to_owned(),
        Some(77) => "gpg's agent does not run; start it (\"gpgconf --launch gpg-agent\") and \
                     try again"
            .to_owned(),
        Some(110 | 112 | 119) => format!(
            "the smart card with the key {fingerprint} is not there; plug it in and start the \
             command again"
        ),
        Some(62 | 85 | 86) => could_not_ask(fingerprint),
        _ if asked => could_not_ask(fingerprint),
        _ if expired => format!(
            "the key {fingerprint} has expired; extend it with \"gpg --edit-key\", bring its newer \
             form with \"spokes blog keys NAME add\", then sign"
        ),
        _ if code == Some(17) || words.contains("[GNUPG:] INV_SGNR") => format!(
            "gpg has no secret key for {fingerprint} at hand; plug in the smart card, or see \
             \"gpg -K\""
        ),
        _ => format!("gpg did not sign: {}", last_words(output)),
    }
}

fn could_not_ask(fingerprint: &Fingerprint) -> String {
    format!(
        "the key {fingerprint} is locked and gpg could not ask for its passphrase here; unlock it \
         (\"gpg --clearsign\" in a terminal, with GPG_TTY set), then start the command again"
    )
}

fn last_words(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words
        .lines()
        .rfind(|line| !line.starts_with("[GNUPG:]") && !line.is_empty());
    last.unwrap_or("it gave no reason").to_owned()
}

async fn open_file(
    path: &Path,
    user_id: UserId<'_>,
    surroundings: &Surroundings,
    console: &Console,
) -> Result<SecretKey, Stop> {
    let bytes = fs::read(path).map_err(|why| Stop::disk(path, why))?;
    let at = now();
    let (any, mut user_id) = match user_id {
        UserId::Any => (true, None),
        UserId::Public(chosen) => (false, chosen.map(str::to_owned)),
    };
    let mut password = surroundings.key_password.clone();
    loop {
        match SecretKey::parse(&bytes, password.as_deref(), user_id.as_deref(), at) {
            Ok(key) => return Ok(key),
            Err(KeyFault::ChooseUserId(uids)) if any && user_id.is_none() && !uids.is_empty() => {
                user_id = uids.into_iter().next();
            }
            Err(KeyFault::Locked(_)) if password.is_none() && console.is_attended() => {
                password = Some(ask_password(path, console).await?);
            }
            Err(KeyFault::Locked(_)) if password.is_none() => {
                return Err(Stop::Refused(format!(
                    "{} is locked; give its password in SPOKES_KEY_PASSWORD",
                    path.display()
                )));
            }
            Err(fault) => return Err(Stop::disk(path, fault)),
        }
    }
}

/// Asks for a password without showing it.
async fn ask_password(path: &Path, console: &Console) -> Result<String, Stop> {
    let echo = |setting: &str| {
        std::process::Command::new("stty")
            .arg(setting)
            .stdin(Stdio::inherit())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    console.prompt(&format!("Password of {}: ", path.display()));
    if !echo("-echo") {
        return Err(Stop::Refused(
            "the terminal would show the password; give it in SPOKES_KEY_PASSWORD".to_owned(),
        ));
    }
    let read = spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = tokio::select! {
        line = read => line.ok().and_then(Result::ok),
        _ = ctrl_c() => None,
    };
    echo("echo");
    console.say("");
    let line = line.ok_or_else(|| Stop::Refused("no password was given".to_owned()))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const FPR: &str = "33ADA692B99EE908BB7177EDE8DC9F5CD769F170";

    #[test]
    fn keys_are_read_from_colons() {
        let listing = format!(
            "sec:u:255:22:E8DC:1:2::u:::scSC:::+::ed25519:::0:\nfpr:::::::::{FPR}:\ngrp:::::::::50BA:\n\
             uid:u::::1::23::Test::::::::::0:\nssb:u:255:18:AAAA:1::::::e:::+::cv25519::\n\
             fpr:::::::::{}:\nsec:u:255:22:E8DD:1:2::u:::scSC:::#::ed25519:::0:\nfpr:::::::::{}:\n",
            "A".repeat(40),
            "B".repeat(40)
        );
        let keys = keys_listed(&listing);
        let shown: Vec<_> = keys
            .iter()
            .map(|k| (k.fingerprint.to_string(), k.primary_signs))
            .collect();
        assert_eq!(shown, [(FPR.to_owned(), true), ("B".repeat(40), false)]);
        assert!(keys_listed("").is_empty());
    }

    #[test]
    fn why_gpg_did_not_sign_is_a_sentence() {
        let fingerprint = Fingerprint::parse(FPR).expect("a fingerprint");
        for (words, expected) in [
            (
                "[GNUPG:] PINENTRY_LAUNCHED 1\n[GNUPG:] FAILURE sign 83886179",
                "canceled",
            ),
            (
                "[GNUPG:] PINENTRY_LAUNCHED 1\n[GNUPG:] FAILURE sign 83918950",
                "locked",
            ),
            ("[GNUPG:] FAILURE sign 67108949", "locked"),
            (
                "[GNUPG:] INV_SGNR 9 nobody\n[GNUPG:] FAILURE sign 17",
                "no secret key",
            ),
            ("[GNUPG:] KEYEXPIRED 1\n[GNUPG:] INV_SGNR 0 x", "expired"),
            ("[GNUPG:] FAILURE sign 100663408", "smart card"),
            ("gpg: something odd", "gpg: something odd"),
        ] {
            let output = Output {
                status: std::process::ExitStatus::from_raw(512),
                stdout: Vec::new(),
                stderr: words.as_bytes().to_vec(),
            };
            let why = why_unsigned(&fingerprint, &output);
            assert!(why.contains(expected), "{words}: {why}");
        }
    }

    #[tokio::test]
    async fn a_key_file_is_opened() {
        let dir = tempfile::tempdir().expect("a folder");
        let key = SecretKey::generate("Maria", now() - 60).expect("a key");
        let path = dir.path().join("key");
        fs::write(&path, key.armored()).expect("written");
        let (console, _) = Console::captured(&[]);
        let signing = |path: &Path| SigningKey {
            key: None,
            key_file: Some(path.to_owned()),
        };
        let surroundings = Surroundings::default();
        let open = |path: PathBuf| {
            let (signing, surroundings, console) = (signing(&path), &surroundings, &console);
            async move { Signer::open(&signing, UserId::Any, surroundings, console).await }
        };
        let signer = open(path.clone()).await.expect("opened");
        assert_eq!(signer.fingerprint(), key.certificate().fingerprint());
        assert!(open(dir.path().join("none")).await.is_err());
        fs::write(&path, key.certificate().armored()).expect("written");
        assert!(
            open(path)
                .await
                .is_err_and(|stop| stop.to_string().contains("no secret part"))
        );
    }
}
