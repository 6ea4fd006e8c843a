package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// entry is a file in an archive.
type entry struct {
	name string
	mode int64
	data []byte
}

// writeImage makes an image of one layer, as `docker save` would write it: with the program as /room, and its libraries where
// they are here.
func writeImage(file, name, program string, libraries, arguments []string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	entries := []entry{{"room", 0o755, binary}}
	for _, library := range libraries {
		data, err := os.ReadFile(library)
		if err != nil {
			return err
		}
		entries = append(entries, entry{strings.TrimPrefix(library, "/"), 0o755, data})
	}
	layer, err := archive(entries...)
	if err != nil {
		return err
	}
	configuration, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": append([]string{"/room"}, arguments...), "User": "65534"},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
		"history":      []any{map[string]string{"created_by": "room image"}},
	})
	if err != nil {
		return err
	}
	layerName, configurationName := digest(layer)+"/layer.tar", digest(configuration)+".json"
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": configurationName, "RepoTags": []string{name}, "Layers": []string{layerName},
	}})
	if err != nil {
		return err
	}
	image, err := archive(
		entry{layerName, 0o644, layer},
		entry{configurationName, 0o644, configuration},
		entry{"manifest.json", 0o644, manifest},
	)
	if err != nil {
		return err
	}
	return os.WriteFile(file, image, 0o644)
}

func digest(data []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func archive(entries ...entry) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, one := range entries {
		header := &tar.Header{Name: one.name, Mode: one.mode, Size: int64(len(one.data))}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(one.data); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
