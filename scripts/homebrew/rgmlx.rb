# rgmlx from a clone of its repository, for a tap of your own: docs/mac.md puts the clone's address in the place of
# REPOSITORY.
#
# The homepage is that of the model: brew style wants one on the web, and a clone may come from anywhere.
#
# Homebrew's resources are built from their sources, which MLX's Metal library does not have. So the packages are
# those of requirements.lock, by version and hash, as in `make`: this file names none, and can't fall behind it.
# Nobody has run it yet.
class Rgmlx < Formula
  include Language::Python::Virtualenv

  desc "Chat and library for RecurrentGemma on Apple silicon, through MLX"
  homepage "https://github.com/google-deepmind/recurrentgemma"
  license "Apache-2.0"
  head "REPOSITORY", using: :git, branch: "main"

  depends_on arch: :arm64
  depends_on macos: :sonoma
  depends_on "python@3.13"

  # The libraries in wheels are named by @rpath, and their headers have no room for longer names.
  preserve_rpath

  def install
    python = "python3.13"
    venv = virtualenv_create(libexec, python, system_site_packages: false)
    system python, "-m", "pip", "--python=#{libexec}/bin/python", "install",
           "--require-hashes", "--requirement", "requirements.lock"
    venv.pip_install_and_link buildpath, build_isolation: false
    shells = [:bash, :fish, :zsh]
    generate_completions_from_executable(bin/"rgmlx", "completion", shells: shells)
    generate_completions_from_executable(bin/"rgchat", "--completion", shells: shells, base_name: "rgchat")
  end

  test do
    assert_match "rgmlx", shell_output("#{bin}/rgmlx --version")
    assert_match "parameters", shell_output("#{bin}/rgmlx info")
  end
end
