//! A file system of a few kilobytes, where we may mount one; unmounted in the end.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

pub struct SmallDisk(TempDir);

impl SmallDisk {
    pub fn mount(kilobytes: usize) -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(disk.path())
            .output();
        mounted
            .is_ok_and(|ran| ran.status.success())
            .then_some(disk)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes it larger or smaller, with what is on it.
    pub fn resize(&self, kilobytes: usize) {
        let remounted = Command::new("mount")
            .args(["-o", &format!("remount,size={kilobytes}k")])
            .arg(self.path())
            .status();
        assert!(remounted.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}
