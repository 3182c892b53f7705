// Judges our audit logs with the Go project's own packages for signed notes and tile logs.
//
//	judge log FOLDER VERIFIER-KEY [OLD-CHECKPOINT]   every entry, every hash, and that the old tree is a prefix
//	judge proof FILE VERIFIER-KEY                    a .tlog-proof file that carries its entry
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type checkpoint struct {
	size int64
	root tlog.Hash
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(ok bool, format string, args ...any) {
	if !ok {
		must(fmt.Errorf(format, args...))
	}
}

func open(msg []byte, vkey string) checkpoint {
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	must(err)
	opened, err := note.Open(msg, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	check(len(lines) >= 4 && lines[0] == verifier.Name(), "origin %q is not key name %q", lines[0], verifier.Name())
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return checkpoint{size, root}
}

// folder reads tiles where C2SP tlog-tiles puts them: the package's own paths carry the tile height as well.
type folder string

func (f folder) Height() int { return 8 }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		all[i] = data
	}
	return all, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) entries(size int64) [][]byte {
	var all [][]byte
	for first := int64(0); first < size; first += 256 {
		tile := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(min(256, size-first))}
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		must(err)
		for n := 0; n < tile.W; n++ {
			check(len(data) >= 2, "bundle %s ends in entry %d", path, n)
			length := int(binary.BigEndian.Uint16(data))
			check(len(data) >= 2+length, "bundle %s ends inside entry %d", path, n)
			all = append(all, data[2:2+length])
			data = data[2+length:]
		}
		check(len(data) == 0, "bundle %s has %d bytes too many", path, len(data))
	}
	return all
}

func judgeLog(dir string, vkey string, old string) {
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	must(err)
	now := open(msg, vkey)
	hashes := tlog.TileHashReader(tlog.Tree{N: now.size, Hash: now.root}, folder(dir))
	for n, entry := range folder(dir).entries(now.size) {
		proof, err := tlog.ProveRecord(now.size, int64(n), hashes)
		must(err)
		must(tlog.CheckRecord(proof, now.size, now.root, int64(n), tlog.RecordHash(entry)))
	}
	if old != "" {
		msg, err := os.ReadFile(old)
		must(err)
		then := open(msg, vkey)
		proof, err := tlog.ProveTree(now.size, then.size, hashes)
		must(err)
		must(tlog.CheckTree(proof, now.size, now.root, then.size, then.root))
	}
	fmt.Println(now.size)
}

func judgeProof(file string, vkey string) {
	data, err := os.ReadFile(file)
	must(err)
	head, msg, found := strings.Cut(string(data), "\n\n")
	check(found, "no empty line")
	lines := strings.Split(head, "\n")
	check(len(lines) >= 3 && lines[0] == "c2sp.org/tlog-proof@v1", "not a proof")
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	must(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	must(err)
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		must(err)
		proof = append(proof, hash)
	}
	tree := open([]byte(msg), vkey)
	must(tlog.CheckRecord(proof, tree.size, tree.root, index, tlog.RecordHash(entry)))
	fmt.Println(index)
}

func main() {
	check(len(os.Args) >= 4, "usage: judge log|proof PATH VERIFIER-KEY [OLD-CHECKPOINT]")
	switch os.Args[1] {
	case "log":
		old := ""
		if len(os.Args) > 4 {
			old = os.Args[4]
		}
		judgeLog(os.Args[2], os.Args[3], old)
	case "proof":
		judgeProof(os.Args[2], os.Args[3])
	default:
		check(false, "unknown job %s", os.Args[1])
	}
}
