// Reads a dashboard from standard input with Grafana's own types and prints what they keep of it. Missing and invalid
// fields are errors; unknown ones are errors, too, or are left out of what is printed.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins() // the types of panels and queries
	text, err := io.ReadAll(os.Stdin)
	fail(err)
	var strict, read dashboard.Dashboard
	fail(strict.UnmarshalJSONStrict(text))
	fail(json.Unmarshal(text, &read))
	fail(read.Validate())
	fail(json.NewEncoder(os.Stdout).Encode(read))
}

func fail(err error) {
	// The library returns an empty list of errors where there are none.
	if err != nil && err.Error() != "" {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
