# frozen_string_literal: true

bind "tcp://#{ENV.fetch('BIND', '0.0.0.0:18010')}"
threads 5, 5
