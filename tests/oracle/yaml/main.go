// What sigs.k8s.io/yaml, and so kubectl, makes of YAML texts.
//
// Each line of standard input is a text as a JSON string. Each line of standard output is the JSON
// of one, or {"refused": WHY} where it is refused; values are under "is".
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var text string
		if err := json.Unmarshal(line, &text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		read, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			err = out.Encode(map[string]string{"refused": err.Error()})
		} else {
			err = out.Encode(map[string]json.RawMessage{"is": read})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
