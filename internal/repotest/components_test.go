package repotest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a Debian whose archive has one version of each package.
type machine struct {
	bin, cache, script string
}

// fakes are the programs of Debian, as far as install.sh uses them. What the archive has is
// in ARCHIVE, one "package version" per line.
var fakes = map[string]string{
	"dpkg": `echo amd64`,
	"apt-get": `case "$*" in
*download*) want=${!#}; grep -qxF "${want%%=*} ${want#*=}" "$ARCHIVE" && printf '%s' "$want" >"${want%%=*}_x_amd64.deb" ;;
esac`,
	"apt-cache": `version=$(sed -n "s/^${!#} //p" "$ARCHIVE")
case "$*" in
*madison*) printf ' %s | %s | http://deb.test bookworm/main amd64 Packages\n' "${!#}" "$version" ;;
*policy*) printf '%s:\n  Installed: (none)\n  Candidate: %s\n' "${!#}" "${version:-(none)}" ;;
esac`,
	"dpkg-deb": `lib=$3/usr/lib/x86_64-linux-gnu
mkdir -p "$lib" "$3/usr/bin"
cp "$2" "$lib/$(basename "$2").so"
printf '#!/bin/sh\necho Redis server v=7.0.15 sha=0\n' >"$3/usr/bin/redis-check-rdb"
chmod +x "$3/usr/bin/redis-check-rdb"`,
}

// newMachine copies the installer beside a pin of one package.
func newMachine(t *testing.T, pinned string) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{bin: filepath.Join(dir, "bin"), cache: filepath.Join(dir, "cache"), script: filepath.Join(dir, "install.sh")}
	script, err := os.ReadFile("../tools/components/install.sh")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("redis-tools=" + pinned))
	m.write(t, m.script, string(script))
	m.write(t, filepath.Join(dir, "redis", "packages"), "# pins\nredis-tools "+pinned+" "+hex.EncodeToString(sum[:])+"\n")
	for name, body := range fakes {
		m.write(t, filepath.Join(m.bin, name), "#!/usr/bin/env bash\n"+body+"\n")
	}
	for _, name := range []string{
		"bash", "env", "basename", "cat", "chmod", "cp", "cut", "dirname", "flock", "grep", "ln", "mkdir", "mv", "rm", "sed", "sh", "sha256sum", "sort",
	} {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(m.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *machine) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// install installs Redis where the archive has that; said is what was printed.
func (m *machine) install(t *testing.T, archive string) (said string, err error) {
	t.Helper()
	list := filepath.Join(filepath.Dir(m.bin), "archive")
	m.write(t, list, archive)
	cmd := exec.CommandContext(t.Context(), filepath.Join(m.bin, "bash"), m.script, "install-one", "redis")
	cmd.Env = []string{"PATH=" + m.bin, "XDG_CACHE_HOME=" + m.cache, "ARCHIVE=" + list, "HOME=" + m.cache}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestRedisIsFetchedAlsoWhenItsPinIsGone(t *testing.T) {
	const pin = "5:7.0.15-1~deb12u7"
	for name, tc := range map[string]struct {
		archive, want string
		fails         bool
	}{
		"the pinned version":         {"redis-tools " + pin + "\n", "installed in", false},
		"an update of it":            {"redis-tools 5:7.0.15-1~deb12u8\n", "has no redis-tools 5:7.0.15-1~deb12u7 any more: taking 5:7.0.15-1~deb12u8, by the archive's signature", false},
		"another minor version":      {"redis-tools 5:7.2.1-1\n", "taking 5:7.2.1-1", false},
		"another major version":      {"redis-tools 5:8.0.2-3\n", "no redis-tools 5:7.0.15-1~deb12u7, but 5:8.0.2-3", true},
		"70 is another one, too":     {"redis-tools 5:70.1-1\n", "but 5:70.1-1", true},
		"no such package":            {"other 1.0\n", "has no redis-tools", true},
		"a longer number is no pin":  {"redis-tools " + pin + "1\n", "any more: taking", false},
		"nothing but a shorter name": {"redis 5:7.0.15-1\n", "has no redis-tools", true},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := newMachine(t, pin).install(t, tc.archive)
			if (err != nil) != tc.fails || !strings.Contains(said, tc.want) {
				t.Errorf("%v, want %q in:\n%s", err, tc.want, said)
			}
			if taking := strings.Contains(said, "taking"); err == nil && taking == (name == "the pinned version") {
				t.Errorf("said:\n%s", said)
			}
		})
	}
}

func TestPinnedRedisThatWasChangedIsRefused(t *testing.T) {
	m := newMachine(t, "5:7.0.15-1")
	m.write(t, filepath.Join(m.bin, "apt-get"), "#!/usr/bin/env bash\ncase \"$*\" in\n*download*) echo changed >redis-tools_x_amd64.deb ;;\nesac\n")
	if said, err := m.install(t, "redis-tools 5:7.0.15-1\n"); err == nil || !strings.Contains(said, "is not the pinned one") {
		t.Errorf("%v:\n%s", err, said)
	}
}

func TestServerInPathIsTakenIfItIsNewEnough(t *testing.T) {
	const pin = "5:7.0.15-1"
	for name, tc := range map[string]struct {
		program, version string
		taken            bool
	}{
		"Redis 6.2":  {"redis-server", "6.2.0", true},
		"Valkey":     {"valkey-server", "8.1.3", true},
		"Redis 6.0":  {"redis-server", "6.0.16", false},
		"Redis 7.10": {"redis-server", "7.10.0", true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, pin)
			program := filepath.Join(m.bin, tc.program)
			m.write(t, program, "#!/bin/sh\necho Server v="+tc.version+" sha=0\n")
			said, err := m.install(t, "redis-tools "+pin+"\n")
			if err != nil {
				t.Fatalf("%v:\n%s", err, said)
			}
			servers, err := filepath.Glob(filepath.Join(m.cache, "grpc-trat", "components", "redis", "*", "redis-server"))
			if err != nil || len(servers) != 1 {
				t.Fatalf("servers %v, %v", servers, err)
			}
			if target, err := os.Readlink(servers[0]); (err == nil && target == program) != tc.taken {
				t.Errorf("%s is a link to %q, %v", servers[0], target, err)
			}
		})
	}
}
