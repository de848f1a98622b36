package config

// Parse reads a configuration; named returns what is in a file that it names. Nil: files
// are not read.
func Parse(text []byte, named func(path string) ([]byte, error)) (*Config, error) {
	var all *files
	if named != nil {
		all = &files{secret: named, certificates: named}
	}
	c, err := parse(text, all)
	if err != nil {
		return nil, err
	}
	return c, nil
}
