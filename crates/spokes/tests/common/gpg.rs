//! A person's own gpg, in a home of its own.

use std::{fs, path::Path, process::Command};

/// A key ring with one secret key.
#[derive(Debug)]
pub(crate) struct Gpg {
    home: tempfile::TempDir,
    /// The fingerprint of its key.
    pub(crate) fingerprint: String,
}

impl Gpg {
    /// Makes a key as people do who follow our own words.
    pub(crate) fn new(user_id: &str) -> Self {
        Self::with(user_id, "ed25519")
    }

    /// The same with a key of another kind.
    pub(crate) fn with(user_id: &str, algorithm: &str) -> Self {
        let mut gpg = Self {
            home: tempfile::tempdir().unwrap(),
            fingerprint: String::new(),
        };
        gpg.run(&[
            "--passphrase",
            "",
            "--quick-generate-key",
            user_id,
            algorithm,
            "sign",
            "never",
        ]);
        let listed = gpg.run(&["--with-colons", "--list-keys"]);
        let line = listed.lines().find(|line| line.starts_with("fpr")).unwrap();
        line.split(':')
            .nth(9)
            .unwrap()
            .clone_into(&mut gpg.fingerprint);
        gpg
    }

    /// Where it is.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Gives her key one more user id.
    pub(crate) fn add_user_id(&self, user_id: &str) {
        self.run(&["--quick-add-uid", &self.fingerprint, user_id]);
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("gpg")
            .args(["--batch", "--yes", "--homedir"])
            .arg(self.home.path())
            .args(arguments)
            .output()
            .expect("gpg is needed by this test");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "gpg {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Revokes the key for all times, by the revocation that gpg has made with it.
    pub(crate) fn revoke(&self) {
        let made = self.home.path().join("openpgp-revocs.d");
        let made = fs::read_to_string(made.join(format!("{}.rev", self.fingerprint))).unwrap();
        let file = self.home.path().join("revocation.asc");
        // A colon keeps it from being used by mistake.
        fs::write(&file, made.replace(":-----BEGIN", "-----BEGIN")).unwrap();
        self.run(&["--import", file.to_str().unwrap()]);
    }

    /// `gpg --armor --export`.
    pub(crate) fn public_key(&self) -> String {
        self.run(&["--armor", "--export", &self.fingerprint])
    }

    /// What `gpg --armor --export` writes for whoever has several keys and names none.
    pub(crate) fn import(&self, other: &str) -> String {
        let file = self.home.path().join("other.asc");
        fs::write(&file, other).unwrap();
        self.run(&["--import", file.to_str().unwrap()]);
        self.run(&["--armor", "--export"])
    }

    /// What nobody should ever paste.
    pub(crate) fn secret_key(&self) -> String {
        self.run(&["--armor", "--export-secret-keys", &self.fingerprint])
    }

    /// `gpg --clearsign` of a saved file.
    pub(crate) fn clearsign(&self, text: &str) -> String {
        let file = self.home.path().join("text.txt");
        fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        self.run(&["--local-user", &self.fingerprint, "--clearsign", path]);
        fs::read_to_string(format!("{path}.asc")).unwrap()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // Its agent would live on.
        let home = self.home.path();
        let killed = Command::new("gpgconf")
            .arg("--homedir")
            .arg(home)
            .args(["--kill", "all"])
            .output();
        drop(killed);
    }
}
