package config

// Parse reads a configuration; named returns what is in a file that it names. Nil: files
// are not read.
func Parse(text []byte, named func(path string) ([]byte, error)) (*Config, error) {
	c, err := parse(text, files{secret: named, certificates: named, descriptors: named})
	if err != nil {
		return nil, err
	}
	return c, nil
}
