//! What CUDA, NCCL and MPI need of this machine, and where it has them. Files are looked for, never loaded, and only
//! `nvidia-smi` and `mpirun` are run; so looking can't fail, and a test brings a machine of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where programs, libraries and headers are looked for.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Folders of programs.
    pub programs: Vec<PathBuf>,
    /// Folders of libraries, as the system's loader goes through them.
    pub libraries: Vec<PathBuf>,
    /// Folders that may hold a CUDA toolkit, the first one that does counts.
    pub toolkits: Vec<PathBuf>,
}

/// What was looked for, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It is there: what and where.
    Found(String),
    /// It isn't, or what is there can't be used: what was seen.
    Missing(String),
}

/// A version of CUDA: major and minor.
pub type CudaVersion = (u32, u32);

/// Headers that kernels include, each with what brings it.
const HEADERS: [(&str, &[&str]); 3] = [
    ("cuda_fp16.h", &["cuda_fp16.h"]),
    ("crt/mma.h", &["crt/mma.h"]),
    ("cuda/barrier", &["cuda/barrier", "cccl/cuda/barrier"]),
];

impl Machine {
    /// This machine, as its environment describes it.
    pub fn here() -> Self {
        let folders = |name| {
            let value = env::var_os(name).unwrap_or_default();
            let named = env::split_paths(&value).filter(|path| !path.as_os_str().is_empty());
            named.collect::<Vec<_>>()
        };
        let mut libraries = folders("LD_LIBRARY_PATH");
        libraries.extend(loader_folders(Path::new("/etc/ld.so.conf.d")));
        libraries.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from));
        // Where burn's CUDA backend looks: `$CUDA_PATH` alone where it is set.
        let toolkits = match env::var_os("CUDA_PATH") {
            Some(root) => vec![PathBuf::from(root)],
            None => ["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from).into(),
        };
        Self {
            programs: folders("PATH"),
            libraries,
            toolkits,
        }
    }

    /// The NVIDIA driver, and the newest CUDA that it runs, where `nvidia-smi` tells.
    pub fn driver(&self) -> (Look, Option<CudaVersion>) {
        let Some(library) = self.library("libcuda.so.1") else {
            let missing =
                "no `libcuda.so.1`: no NVIDIA driver, or it is not passed into this container";
            return (Look::Missing(missing.to_owned()), None);
        };
        let said = self.ask("nvidia-smi", &[]).unwrap_or_default();
        let cuda = after(&said, "CUDA Version:").and_then(version);
        let driver = match after(&said, "Driver Version:") {
            Some(driver) => format!("driver {driver}"),
            None => "driver of unknown version (no `nvidia-smi` that answers)".to_owned(),
        };
        let newest = match cuda {
            Some((major, minor)) => format!(", up to CUDA {major}.{minor}"),
            None => String::new(),
        };
        let found = format!("{driver}{newest}: {}", library.display());
        (Look::Found(found), cuda)
    }

    /// The compiler of kernels, no newer than the driver: what a newer one writes, the driver can't read.
    pub fn nvrtc(&self, driver: Option<CudaVersion>) -> Look {
        // The names that burn's CUDA backend tries.
        let names = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"];
        let Some(library) = names.iter().find_map(|name| self.library(name)) else {
            return Look::Missing(format!("no `{}`", names.join("`, `")));
        };
        let Some((major, minor)) = self.nvrtc_builtins() else {
            return Look::Missing(format!(
                "{} without the `libnvrtc-builtins` of its version",
                library.display()
            ));
        };
        let what = format!("NVRTC {major}.{minor}: {}", library.display());
        match driver {
            Some(newest) if (major, minor) > newest => Look::Missing(format!(
                "{what}, newer than the driver's CUDA {}.{}",
                newest.0, newest.1
            )),
            Some(_) => Look::Found(what),
            None => Look::Found(format!("{what}; no driver tells whether it is too new")),
        }
    }

    /// The version of NVRTC: its own file name has the major one only, that of its builtins both.
    fn nvrtc_builtins(&self) -> Option<CudaVersion> {
        let names = self.libraries.iter().flat_map(|folder| file_names(folder));
        names
            .filter_map(|name| version(name.strip_prefix("libnvrtc-builtins.so.")?))
            .next()
    }

    /// CUDA's headers, which NVRTC includes.
    pub fn headers(&self) -> Look {
        let include = |root: &PathBuf| root.join("include");
        let Some(folder) = self.toolkits.iter().map(include).find(|at| at.is_dir()) else {
            let looked: Vec<String> = self.toolkits.iter().map(|root| shown(root)).collect();
            return Look::Missing(format!("no `include` folder in {}", looked.join(" or ")));
        };
        let missing: Vec<&str> = HEADERS
            .iter()
            .filter(|(_, places)| !places.iter().any(|place| folder.join(place).is_file()))
            .map(|(name, _)| *name)
            .collect();
        match missing[..] {
            [] => Look::Found(shown(&folder)),
            _ => Look::Missing(format!(
                "{} has no `{}`",
                folder.display(),
                missing.join("`, `")
            )),
        }
    }

    /// NCCL, under the name it is loaded by.
    pub fn nccl(&self) -> Look {
        match (self.library("libnccl.so"), self.library("libnccl.so.2")) {
            (Some(library), _) => Look::Found(shown(&library)),
            (None, Some(library)) => Look::Missing(format!(
                "{} alone: it is loaded as `libnccl.so`, so link it: `ln -s libnccl.so.2 {}`",
                library.display(),
                library.with_file_name("libnccl.so").display()
            )),
            (None, None) => Look::Missing("no `libnccl.so`".to_owned()),
        }
    }

    /// What starts a process on each GPU or machine.
    pub fn mpirun(&self) -> Look {
        let Some(program) = self.program("mpirun") else {
            return Look::Missing("no `mpirun`".to_owned());
        };
        let said = self.ask("mpirun", &["--version"]).unwrap_or_default();
        match said.lines().next().unwrap_or_default().trim() {
            "" => Look::Found(shown(&program)),
            line => Look::Found(format!("{line}: {}", program.display())),
        }
    }

    /// What the feature `mpi` is built with.
    pub fn mpi_development(&self) -> Look {
        let compiler = self.program("mpicc");
        let clang = self.libraries.iter().find_map(|folder| {
            let mut names = file_names(folder).into_iter();
            names
                .find(|name| name.starts_with("libclang.so") || name.starts_with("libclang-"))
                .map(|name| folder.join(name))
        });
        match (compiler, clang.or_else(llvm_clang)) {
            (Some(compiler), Some(clang)) => {
                Look::Found(format!("{} and {}", compiler.display(), clang.display()))
            }
            (compiler, clang) => {
                let missing = [
                    ("`mpicc`", compiler.is_none()),
                    ("`libclang`", clang.is_none()),
                ];
                let missing: Vec<&str> = missing
                    .iter()
                    .filter(|(_, missing)| *missing)
                    .map(|(name, _)| *name)
                    .collect();
                Look::Missing(format!("no {}", missing.join(" and no ")))
            }
        }
    }

    fn library(&self, name: &str) -> Option<PathBuf> {
        let mut places = self.libraries.iter().map(|folder| folder.join(name));
        places.find(|place| place.is_file())
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let mut places = self.programs.iter().map(|folder| folder.join(name));
        places.find(|place| place.is_file())
    }

    /// What a program prints; `None` where there is none, or it fails.
    fn ask(&self, name: &str, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(self.program(name)?);
        command.args(arguments).stdin(Stdio::null());
        let ran = command.output().ok().filter(|ran| ran.status.success())?;
        Some(String::from_utf8_lossy(&ran.stdout).into_owned())
    }
}

/// The folders that the configuration of the system's loader names.
fn loader_folders(configuration: &Path) -> Vec<PathBuf> {
    let mut files = file_names(configuration);
    files.sort();
    let read = |name: &String| fs::read_to_string(configuration.join(name)).unwrap_or_default();
    let texts: Vec<String> = files.iter().map(read).collect();
    let lines = texts.iter().flat_map(|text| text.lines().map(str::trim));
    lines
        .filter(|line| line.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

/// Where Debian and Ubuntu keep libclang: a folder for each version of LLVM.
fn llvm_clang() -> Option<PathBuf> {
    let folders = file_names(Path::new("/usr/lib")).into_iter();
    folders
        .filter(|name| name.starts_with("llvm-"))
        .map(|name| Path::new("/usr/lib").join(name).join("lib"))
        .find_map(|folder| {
            let mut names = file_names(&folder).into_iter();
            let name = names.find(|name| name.starts_with("libclang"))?;
            Some(folder.join(name))
        })
}

/// Names in a folder; none where it can't be read.
fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The word behind a label.
fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let (_, behind) = text.split_once(label)?;
    behind.split_whitespace().next()
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<CudaVersion> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMI: &str = "| NVIDIA-SMI 580.82.07   Driver Version: 580.82.07   CUDA Version: 13.0 |";

    /// A machine whose programs, libraries and toolkit are in one folder each.
    struct Fake(tempfile::TempDir);

    impl Fake {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary folder"))
        }

        fn with(self, files: &[&str]) -> Self {
            for file in files {
                let path = self.0.path().join(file);
                fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
                fs::write(path, "").expect("writable");
            }
            self
        }

        /// A program that prints a line.
        #[cfg(unix)]
        fn printing(self, program: &str, line: &str) -> Self {
            use std::os::unix::fs::PermissionsExt;
            let path = self.0.path().join("bin").join(program);
            fs::create_dir_all(self.0.path().join("bin")).expect("writable");
            fs::write(&path, format!("#!/bin/sh\necho '{line}'\n")).expect("writable");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
            self
        }

        fn machine(&self) -> Machine {
            let at = |name| vec![self.0.path().join(name)];
            Machine {
                programs: at("bin"),
                libraries: at("lib"),
                toolkits: at("cuda"),
            }
        }
    }

    #[track_caller]
    fn missing(look: &Look, said: &str) {
        match look {
            Look::Missing(text) => assert!(text.contains(said), "{text}"),
            Look::Found(text) => panic!("found {text}"),
        }
    }

    #[track_caller]
    fn found(look: &Look, said: &str) {
        match look {
            Look::Found(text) => assert!(text.contains(said), "{text}"),
            Look::Missing(text) => panic!("missing: {text}"),
        }
    }

    #[test]
    fn an_empty_machine_lacks_everything() {
        let fake = Fake::new();
        let machine = fake.machine();
        let (driver, cuda) = machine.driver();
        missing(&driver, "libcuda.so.1");
        assert_eq!(cuda, None);
        missing(&machine.nvrtc(None), "libnvrtc.so");
        missing(&machine.headers(), "include");
        missing(&machine.nccl(), "libnccl.so");
        missing(&machine.mpirun(), "mpirun");
        missing(&machine.mpi_development(), "mpicc");
    }

    #[cfg(unix)]
    #[test]
    fn wheels_and_a_driver_are_a_whole_machine() {
        let fake = Fake::new()
            .with(&[
                "lib/libcuda.so.1",
                "lib/libnvrtc.so.13",
                "lib/libnvrtc-builtins.so.13.0",
                "lib/libnccl.so",
                "lib/libclang.so.1",
                "cuda/include/cuda_fp16.h",
                "cuda/include/crt/mma.h",
                "cuda/include/cccl/cuda/barrier",
                "bin/mpicc",
            ])
            .printing("nvidia-smi", SMI)
            .printing("mpirun", "mpirun (Open MPI) 4.1.4");
        let machine = fake.machine();
        let (driver, cuda) = machine.driver();
        found(&driver, "driver 580.82.07, up to CUDA 13.0: ");
        assert_eq!(cuda, Some((13, 0)));
        found(&machine.nvrtc(cuda), "NVRTC 13.0: ");
        found(&machine.headers(), "include");
        found(&machine.nccl(), "libnccl.so");
        found(&machine.mpirun(), "mpirun (Open MPI) 4.1.4: ");
        found(&machine.mpi_development(), "mpicc and ");
    }

    #[test]
    fn what_is_there_and_can_t_be_used_is_missing() {
        let fake = Fake::new().with(&[
            "lib/libcuda.so.1",
            "lib/libnvrtc.so.13",
            "lib/libnvrtc-builtins.so.13.5",
            "lib/libnccl.so.2",
            "cuda/include/cuda_fp16.h",
        ]);
        let machine = fake.machine();
        let (driver, cuda) = machine.driver();
        found(&driver, "unknown version");
        assert_eq!(cuda, None);
        missing(
            &machine.nvrtc(Some((13, 0))),
            "newer than the driver's CUDA 13.0",
        );
        found(&machine.nvrtc(Some((13, 5))), "NVRTC 13.5");
        found(&machine.nvrtc(Some((14, 0))), "NVRTC 13.5");
        missing(&machine.headers(), "`crt/mma.h`, `cuda/barrier`");
        missing(&machine.nccl(), "ln -s libnccl.so.2");
    }

    #[test]
    fn nvrtc_without_its_builtins_compiles_nothing() {
        let fake = Fake::new().with(&["lib/libnvrtc.so.12"]);
        missing(&fake.machine().nvrtc(None), "libnvrtc-builtins");
    }

    #[test]
    fn the_loader_s_folders_are_its_configuration_s_lines() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("b.conf"), "# words\n/two\n\n").expect("writable");
        fs::write(folder.path().join("a.conf"), "/one\ninclude x\n").expect("writable");
        assert_eq!(
            loader_folders(folder.path()),
            ["/one", "/two"].map(PathBuf::from)
        );
        assert!(loader_folders(&folder.path().join("none")).is_empty());
    }
}
