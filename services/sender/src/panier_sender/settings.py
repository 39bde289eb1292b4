"""What the sender is told by its environment."""

from panier_common.settings import DatabaseSettings
from pydantic import DirectoryPath, Field
from pydantic_settings import SettingsConfigDict

from panier_sender.journal import InDoubt
from panier_sender.rates import DEFAULT_PER_SECOND, HIGHEST_PER_SECOND


class SenderSettings(DatabaseSettings):
    """Tokens are not among them: each number's shop names the variable, or the file, that holds its own."""

    model_config = SettingsConfigDict(env_prefix="PANIER_SENDER_")

    graph_url: str = Field(
        default="https://graph.facebook.com",
        description="Base address of the Graph API.",
        validation_alias="PANIER_GRAPH_URL",
    )
    graph_version: str = Field(
        default="v26.0", description="Version of the Graph API.", validation_alias="PANIER_GRAPH_VERSION"
    )
    tokens_folder: DirectoryPath | None = Field(
        default=None,
        description="Folder with the access tokens, each in a file that has the name of its variable. Read anew every "
        "5 s: a new token, or a new shop's, needs no restart.",
    )
    claim_seconds: float = Field(
        default=5.0,
        gt=0,
        description="How long a claimed message may be called: begun in the first half, with what is left as time-out.",
    )
    doubt_seconds: float = Field(
        default=20.0,
        gt=0,
        description="A call without an answer is repeated when `delivery` was read this far past it in vain.",
    )
    in_doubt: InDoubt = Field(
        default=InDoubt.RESEND,
        description="What becomes of a message of which Meta reported nothing in that time: `resend` loses none, "
        "`give_up` sends none twice and leaves it to a person.",
    )
    messages_per_second: int = Field(
        default=DEFAULT_PER_SECOND,
        ge=1,
        le=HIGHEST_PER_SECOND,
        description="What a phone number may send and receive, unless the shops file or Meta says otherwise.",
    )
    calls_limit: int = Field(default=512, ge=1, description="Calls to the Graph API in flight in this process at most.")
    claims_limit: int = Field(
        default=2000, ge=1, description="Messages in memory at most; the others wait in the journal."
    )
    number_claims_limit: int = Field(default=1000, ge=1, description="Of these, messages of one phone number at most.")
    keep_alive_seconds: float = Field(
        default=4.0,
        ge=0,
        description="An idle connection is closed after this: less than the other side's, or a call gets lost.",
    )
