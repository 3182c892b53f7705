package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

func run(url, root, dir, target string) error {
	bytes, err := os.ReadFile(root)
	if err != nil {
		return err
	}
	cfg, err := config.New(url+"/metadata", bytes)
	if err != nil {
		return err
	}
	cfg.LocalMetadataDir = filepath.Join(dir, "metadata")
	cfg.LocalTargetsDir = filepath.Join(dir, "targets")
	cfg.RemoteTargetsURL = url + "/targets"
	if err := cfg.EnsurePathsExist(); err != nil {
		return err
	}
	up, err := updater.New(cfg)
	if err != nil {
		return err
	}
	if err := up.Refresh(); err != nil {
		return err
	}
	info, err := up.GetTargetInfo(target)
	if err != nil {
		return err
	}
	_, content, err := up.DownloadTarget(info, "", "")
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(content)
	return err
}

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
