"""
Packs what scripts/release has built.

    release_pack.py STAGE DIST ZIG ARCHITECTURE…

STAGE has a folder for each architecture (libzaudit.so, zaudit and their .debug files) and one with
manual pages and completions; DIST gets the archives, the packages, the image and the bill of
materials; ZIG is the folder of zig, whose C library and unwinder are in the binaries. Nothing
depends on the clock, the user or the folder, so the same input gives the same bytes.
"""

import gzip
import hashlib
import io
import json
import lzma
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import time
import uuid

EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
TIME = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
OCI = {"x86_64": {"architecture": "amd64", "os": "linux"},
       "aarch64": {"architecture": "arm64", "os": "linux", "variant": "v8"}}
PACKAGES = ("zaudit", "zaudit-cli")
SUMMARY = "finds the code that never ends a java.util.zip.Inflater or Deflater"
TEXTS = ("LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md")
LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)([-._].*)?", re.I)
# Where an installation has what is in the stage's `pages`.
PAGES = {
    "zaudit.1": "share/man/man1/zaudit.1",
    "zaudit-options.7": "share/man/man7/zaudit-options.7",
    "zaudit.bash": "share/bash-completion/completions/zaudit",
    "_zaudit": "share/zsh/{site}/_zaudit",
    "zaudit.fish": "share/fish/vendor_completions.d/zaudit.fish",
}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def gzipped(content):
    return gzip.compress(content, compresslevel=9, mtime=0)


def tar(files, prefix=""):
    """A tar archive of `files`, from names to mode and content, with their folders."""
    entries = {prefix + name: file for name, file in files.items()}
    # A folder sorts before what is in it.
    entries |= {name[:end.end()]: None for name in list(entries) for end in re.finditer("/", name)}
    bytes_ = io.BytesIO()
    with tarfile.open(fileobj=bytes_, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted(entries):
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mtime = EPOCH
            if entries[name] is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                entry.mode, content = entries[name]
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return bytes_.getvalue()


# ---- the crates ----------------------------------------------------------------------------------


class Crates:
    """The crates that an architecture's binaries are made of."""

    def __init__(self, architectures):
        command = ["cargo", "metadata", "--locked", "--format-version", "1"]
        for architecture in architectures:
            command += ["--filter-platform", f"{architecture}-unknown-linux-gnu"]
        metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        self.packages = {package["id"]: package for package in metadata["packages"]}
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        self.own = [it["id"] for it in metadata["packages"] if it["name"] in PACKAGES]
        self.edges = {}
        left = list(self.own)
        while left:
            crate = left.pop()
            if crate in self.edges:
                continue
            # What only tests and build scripts need is not in the binaries.
            self.edges[crate] = sorted(
                dependency["pkg"] for dependency in nodes[crate]["deps"]
                if any(kind["kind"] is None for kind in dependency["dep_kinds"]))
            left += self.edges[crate]
        self.version = next(it["version"] for it in metadata["packages"] if it["name"] == "zaudit")

    def all(self):
        found = (self.packages[crate] for crate in self.edges)
        return sorted(found, key=lambda package: (package["name"], package["version"]))

    def published(self):
        return [package for package in self.all() if package["source"]]


def licences(crates, zig):
    """The licences of everything in the binaries that is not ours, in one text."""
    parts = []

    def part(title, licence, texts):
        rule = "=" * 78
        parts.append(f"{rule}\n{title}\nLicence: {licence}\n{rule}\n\n" + "\n\n".join(texts))

    for crate in crates.published():
        folder = pathlib.Path(crate["manifest_path"]).parent
        files = sorted(path for path in folder.iterdir()
                       if path.is_file() and LICENCE_FILE.fullmatch(path.name))
        texts = [path.read_text(errors="replace").strip() for path in files]
        if not texts:
            # The crate names standard texts and has none of its own.
            if not {"MIT", "Apache-2.0"} & set(re.split(r"[^\w.+-]+", crate["license"])):
                raise ValueError(f"{crate['name']}: no text of its licence {crate['license']}")
            authors = ", ".join(crate["authors"]) or f"the authors of {crate['name']}"
            texts = [f"Copyright (c) {authors}. The texts are in LICENSE-MIT and LICENSE-APACHE."]
        part(f"{crate['name']} {crate['version']}", crate["license"], texts)
    rust = subprocess.run(["rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True)
    part(f"Rust's standard library ({rust.stdout.strip()})", "MIT OR Apache-2.0",
         ["Copyright (c) the Rust Project contributors. The texts are in LICENSE-MIT and "
          "LICENSE-APACHE."])
    for title, licence, path in (
            ("LLVM's libunwind and compiler-rt, and zig's", "Apache-2.0 WITH LLVM-exception, MIT",
             ("lib/libunwind/LICENSE.TXT", "LICENSE")),
            ("musl, in the command", "MIT", ("lib/libc/musl/COPYRIGHT",))):
        part(title, licence, [(zig / name).read_text().strip() for name in path])
    return ("The binaries of zaudit contain these works, under their licences.\n\n"
            + "\n\n\n".join(parts) + "\n").encode()


def bill_of_materials(crates):
    """CycloneDX 1.6."""
    lock = pathlib.Path("Cargo.lock").read_text()
    checksums = {(name, version): checksum for name, version, checksum in re.findall(
        r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"', lock)}

    def reference(crate):
        return f"pkg:cargo/{crate['name']}@{crate['version']}"

    def component(crate):
        own = crate["source"] is None
        entry = {
            "type": "application" if crate["name"] == "zaudit-cli" else "library",
            "bom-ref": reference(crate),
            "name": crate["name"],
            "version": crate["version"],
            "licenses": [{"expression": crate["license"].replace("/", " OR ")}],
        }
        if crate["description"]:
            entry["description"] = " ".join(crate["description"].split())
        if not own:
            content = checksums[crate["name"], crate["version"]]
            entry["hashes"] = [{"alg": "SHA-256", "content": content}]
            entry["purl"] = reference(crate)
        return entry

    own = {"type": "application", "bom-ref": f"zaudit@{crates.version}", "name": "zaudit",
           "version": crates.version, "licenses": [{"expression": "MIT OR Apache-2.0"}]}
    tree = [{"ref": own["bom-ref"],
             "dependsOn": sorted(reference(crates.packages[crate]) for crate in crates.own)}]
    for crate in crates.all():
        needs = sorted(reference(crates.packages[it]) for it in crates.edges[crate["id"]])
        tree.append({"ref": reference(crate), "dependsOn": needs})
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": TIME, "component": own},
        "components": [component(crate) for crate in crates.all()],
        "dependencies": tree,
    }
    text = json.dumps(bill, sort_keys=True)
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}"
    return (json.dumps(bill, indent=2) + "\n").encode()


# ---- the packages --------------------------------------------------------------------------------


def installation(stage, architecture, texts, site, gzip_pages=False):
    """The files of an installation, relative to /usr, /usr/local or a folder of its own."""
    files = {
        "bin/zaudit": (0o755, (stage / architecture / "zaudit").read_bytes()),
        "lib/libzaudit.so": (0o644, (stage / architecture / "libzaudit.so").read_bytes()),
    }
    for name, place in PAGES.items():
        content = (stage / "pages" / name).read_bytes()
        place = place.format(site=site)
        if gzip_pages and "/man/" in place:
            place, content = place + ".gz", gzipped(content)
        files[place] = (0o644, content)
    for name, content in texts.items():
        files[f"share/doc/zaudit/{name}"] = (0o644, content)
    return files


def debian_package(stage, architecture, texts, version):
    third_party = texts["THIRD-PARTY-LICENSES"].decode()
    own = texts["LICENSE-MIT"].decode()
    documents = {
        "copyright": f"zaudit is licensed under MIT or Apache-2.0, at your option. The text of "
                     f"Apache-2.0 is in\n/usr/share/common-licenses/Apache-2.0.\n\n{own}\n\n"
                     f"{third_party}".encode(),
        "changelog.gz": gzipped(texts["CHANGELOG.md"]),
    }
    files = installation(stage, architecture, documents, "vendor-completions", gzip_pages=True)
    files = {f"usr/{name}": file for name, file in files.items()}
    kilobytes = sum((len(content) + 1023) // 1024 for _, content in files.values())
    control = (
        f"Package: zaudit\n"
        f"Version: {version}\n"
        f"Architecture: {DEBIAN[architecture]}\n"
        f"Maintainer: The zaudit authors <zaudit@invalid>\n"
        f"Installed-Size: {kilobytes}\n"
        f"Depends: libc6 (>= 2.17)\n"
        f"Suggests: java-runtime-headless\n"
        f"Section: devel\n"
        f"Priority: optional\n"
        f"Description: {SUMMARY}\n"
        f" A JVMTI agent follows each instance from its constructor to end(), and reports the\n"
        f" stacks of those that only the garbage collector freed. The command zaudit starts\n"
        f" programs under the agent, and attaches it to running JVMs.\n")
    sums = "".join(f"{hashlib.md5(content).hexdigest()}  {name}\n"
                   for name, (_, content) in sorted(files.items()))
    control = tar({"control": (0o644, control.encode()), "md5sums": (0o644, sums.encode())}, "./")
    members = {"debian-binary": b"2.0\n", "control.tar.xz": lzma.compress(control),
               "data.tar.xz": lzma.compress(tar(files, "./"))}
    archive = bytearray(b"!<arch>\n")
    for name, content in members.items():
        archive += f"{name:<16}{EPOCH:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        archive += content + b"\n" * (len(content) % 2)
    return bytes(archive)


class Image:
    """An OCI image layout, with an image for each architecture."""

    def __init__(self, version):
        self.version = version
        self.blobs = {}
        self.manifests = []

    def blob(self, media_type, content):
        digest = sha256(content)
        self.blobs[f"blobs/sha256/{digest}"] = (0o644, content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def json(self, media_type, value):
        return self.blob(media_type, json.dumps(value, sort_keys=True).encode())

    def add(self, stage, architecture, texts):
        files = {
            "zaudit/zaudit": (0o755, (stage / architecture / "zaudit").read_bytes()),
            "zaudit/libzaudit.so": (0o755, (stage / architecture / "libzaudit.so").read_bytes()),
        }
        files |= {f"zaudit/licences/{name}": (0o644, content)
                  for name, content in texts.items() if "LICENSE" in name}
        layer = tar(files)
        platform = OCI[architecture]
        config = platform | {
            "created": TIME,
            "config": {"Entrypoint": ["/zaudit/zaudit"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}"]},
            "history": [{"created": TIME, "comment": f"zaudit {self.version}"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.json("application/vnd.oci.image.config.v1+json", config),
            "layers": [self.blob("application/vnd.oci.image.layer.v1.tar+gzip", gzipped(layer))],
            "annotations": self.annotations(),
        }
        descriptor = self.json(manifest["mediaType"], manifest)
        self.manifests.append(descriptor | {"platform": platform})

    def annotations(self):
        return {
            "org.opencontainers.image.title": "zaudit",
            "org.opencontainers.image.description": SUMMARY,
            "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
            "org.opencontainers.image.version": self.version,
            "org.opencontainers.image.created": TIME,
        }

    def archive(self):
        index = "application/vnd.oci.image.index.v1+json"
        images = {"schemaVersion": 2, "mediaType": index, "manifests": self.manifests}
        whole = self.json(index, images) | {"annotations": {
            "org.opencontainers.image.ref.name": self.version,
            "io.containerd.image.name": f"docker.io/library/zaudit:{self.version}",
        }}
        top = {"schemaVersion": 2, "mediaType": index, "manifests": [whole]}
        return tar(self.blobs | {
            "oci-layout": (0o644, b'{"imageLayoutVersion": "1.0.0"}'),
            "index.json": (0o644, json.dumps(top, sort_keys=True).encode()),
        })


def main(stage, dist, zig, *architectures):
    stage, dist, zig = pathlib.Path(stage), pathlib.Path(dist), pathlib.Path(zig)
    crates = Crates(architectures)
    version = crates.version
    texts = {name: pathlib.Path(name).read_bytes() for name in TEXTS}
    texts["THIRD-PARTY-LICENSES"] = licences(crates, zig)
    image = Image(version)
    for architecture in architectures:
        name = f"zaudit-{version}-linux-{architecture}"
        files = installation(stage, architecture, texts, "site-functions")
        (dist / f"{name}.tar.gz").write_bytes(gzipped(tar(files, f"{name}/")))
        symbols = {file: (0o644, (stage / architecture / file).read_bytes())
                   for file in ("libzaudit.so.debug", "zaudit.debug")}
        (dist / f"{name}-debug.tar.gz").write_bytes(gzipped(tar(symbols, f"{name}-debug/")))
        package = debian_package(stage, architecture, texts, version)
        (dist / f"zaudit_{version}_{DEBIAN[architecture]}.deb").write_bytes(package)
        image.add(stage, architecture, texts)
    (dist / f"zaudit-{version}-oci.tar").write_bytes(image.archive())
    (dist / f"zaudit-{version}.cdx.json").write_bytes(bill_of_materials(crates))


if __name__ == "__main__":
    main(*sys.argv[1:])
