//! A disk of few bytes: a file system in memory that only the programs inside a namespace of their
//! own see. It needs no place on the machine, and is gone when the test is, however it ends.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What the file system is asked for at once.
const PAGE: usize = 4_096;

/// The disk, and who keeps it there.
pub(crate) struct SmallDisk {
    keeper: Child,
    /// The words of `nsenter` that lead inside.
    enter: Vec<&'static str>,
    /// Where programs inside find it.
    pub(crate) inside: PathBuf,
}

impl SmallDisk {
    /// Makes one over an empty folder; says why when the system does not let it.
    pub(crate) fn new(folder: &Path, kibibytes: usize) -> Result<Self, String> {
        let ways = [
            (vec!["-m"], vec!["-m"]),
            (
                vec!["-U", "-r", "-m"],
                vec!["-U", "--preserve-credentials", "-m"],
            ),
        ];
        let mut why = String::new();
        for (apart, enter) in ways {
            match Self::keep(folder, kibibytes, &apart) {
                Ok(keeper) => {
                    let inside = folder.to_owned();
                    return Ok(Self {
                        keeper,
                        enter,
                        inside,
                    });
                }
                Err(said) => why = said,
            }
        }
        Err(why)
    }

    fn keep(folder: &Path, kibibytes: usize, apart: &[&str]) -> Result<Child, String> {
        let script = format!(
            "mount -t tmpfs -o size={kibibytes}k,mode=755 none \"$0\" && echo ready && exec cat"
        );
        let mut command = Command::new("unshare");
        let command = command.args(apart).args(["sh", "-c", &script]).arg(folder);
        // It waits for the end of its input, which comes when this test ends.
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut keeper = command
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let said = BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line);
        if said.is_ok() && line == "ready\n" {
            return Ok(keeper);
        }
        let output = keeper
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Where this test finds what programs inside find at `inside`.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        let inside = self.inside.strip_prefix("/").unwrap();
        root.join(inside).join(path)
    }

    /// The command that runs a program inside.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let keeper = self.keeper.id().to_string();
        command
            .args(["-t", &keeper])
            .args(&self.enter)
            .args(["--", program]);
        command
    }

    /// Fills it up but for some bytes, and says how much it took.
    pub(crate) fn fill_but(&self, bytes: usize) -> u64 {
        let path = self.outside("ballast");
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        while ballast.write_all(&[1; PAGE]).is_ok() {}
        let full = ballast.metadata().unwrap().size();
        ballast.set_len(full.saturating_sub(bytes as u64)).unwrap();
        full
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.outside("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}
