// Validates JSON by JSON schemas: cases on stdin, one error for each on stdout, empty where the
// instance is valid. Nothing is loaded from the network.
package main

import (
	"encoding/json"
	"os"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func main() {
	var cases []struct {
		// JSON texts.
		Schema, Instance string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	answers := []string{}
	for _, c := range cases {
		answers = append(answers, validate(c.Schema, c.Instance))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}

func validate(schema, instance string) string {
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if err := compiler.AddResource("schema.json", parsed(schema)); err != nil {
		panic(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		panic(err)
	}
	if err := compiled.Validate(parsed(instance)); err != nil {
		return err.Error()
	}
	return ""
}

func parsed(text string) any {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		panic(err)
	}
	return value
}
