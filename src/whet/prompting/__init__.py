"""Language models that are asked rather than trained: a base on this machine, or an endpoint.

``speaker``   what every one of them offers, and what its answers cost
``local``     a language model on this machine
``layouts``   how prompts become its token ids
``endpoint``  any OpenAI-compatible endpoint
``address``   where it is
``session``   one call of it: what is known already, what is asked, some at once
``asking``    one request: tried again where that helps, its errors as problems
``budget``    tokens and their price, held against a limit
``ledger``    what a run has spent, in a file of the run
``replies``   what an endpoint said, kept in the store so that nothing is paid for twice
``judge``     two answers, and which of them a language model likes better

Problem codes: P020 to P027 speak of endpoints, P030 and P031 of who cannot be asked.
"""
