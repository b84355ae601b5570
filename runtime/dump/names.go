package dump

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// names gives resources names that every file system takes, and no two the same, in whatever case it keeps names.
type names map[string]bool // taken, in lower case, with the folder

// maxName is how long a name may be, without what tells it from others: the bound of most file systems is 255 bytes.
const maxName = 180

// file returns the name of a resource's file in folder, without a suffix: the resource's own where that will do, else
// with the strange characters replaced and the beginning of a hash of the real name.
func (n names) file(folder, name string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '_'
	}, name)
	safe = strings.TrimLeft(safe, ".") // no hidden files, and no way upwards
	if safe = safe[:min(len(safe), maxName)]; safe == name && name != "" && n.take(folder, safe) {
		return safe
	}
	sum := sha256.Sum256([]byte(name))
	safe += "-" + hex.EncodeToString(sum[:4])
	for out, i := safe, 2; ; i++ {
		if n.take(folder, out) {
			return out
		}
		out = safe + "-" + strconv.Itoa(i)
	}
}

func (n names) take(folder, file string) bool {
	key := folder + "/" + strings.ToLower(file)
	if n[key] {
		return false
	}
	n[key] = true
	return true
}
