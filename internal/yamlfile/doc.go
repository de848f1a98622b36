// Package yamlfile reads YAML files strictly, with every problem at its line and key: what
// the files of policies and the tables of their tests have in common.
package yamlfile
