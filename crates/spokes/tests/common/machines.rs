//! An author's machines: one key, and what each of them knows of her blog. They run `spokes blog`.

use std::{
    fs,
    process::{Command, Stdio},
};

use spokes_log::secret::SecretKey;

use super::demo::{Demo, program};

/// Maria's machines.
pub(crate) struct Machines {
    pub(crate) dir: tempfile::TempDir,
    network: String,
}

impl Machines {
    pub(crate) fn new(demo: &Demo, key: &SecretKey) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key.asc"), key.armored()).unwrap();
        let network = format!("http://127.0.0.1:{}", demo.port);
        let desk = Self { dir, network };
        // The spoke that is asked becomes the primary.
        let a = Self {
            dir: tempfile::tempdir().unwrap(),
            network: format!("http://{}", demo.address("a")),
        };
        fs::copy(
            desk.dir.path().join("key.asc"),
            a.dir.path().join("key.asc"),
        )
        .unwrap();
        a.does("laptop", "create maria --title Maria --language en KEY");
        desk
    }

    pub(crate) fn write(&self, file: &str, words: &str) {
        fs::write(self.dir.path().join(file), words).unwrap();
    }

    /// What a command says on one of the machines, as people read it, or in JSON.
    pub(crate) fn run(&self, machine: &str, line: &str) -> (bool, String) {
        let output = Command::new(program())
            .current_dir(self.dir.path())
            .arg("blog")
            .args(line.replace("KEY", "--key-file key.asc").split(' '))
            .arg("--yes")
            .env("SPOKES_NETWORK", &self.network)
            .env("XDG_STATE_HOME", self.dir.path().join(machine))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    #[track_caller]
    pub(crate) fn does(&self, machine: &str, line: &str) -> String {
        let (done, said) = self.run(machine, line);
        assert!(done, "{line}: {said}");
        said
    }
}
